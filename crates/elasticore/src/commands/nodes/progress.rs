//! The progress of a change of the ring on standard error, when a person looks at it.

use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Nodes;

const COLORED: &str = "{spinner:.cyan} {prefix} [{bar:24.cyan/blue}] {elapsed} · {wide_msg}";
const PLAIN: &str = "{spinner} {prefix} [{bar:24}] {elapsed} · {wide_msg}";

/// A bar that is not there unless standard error is a terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(color: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(if color { COLORED } else { PLAIN });
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        bar.set_prefix("asked for");
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    /// Draws how far the ring is.
    pub(super) fn show(&self, nodes: &Nodes) {
        let sync = nodes.sync();
        self.0.set_prefix(nodes.phase.as_str());
        // A bar of length 0 is drawn full.
        self.0.set_length(sync.buckets.max(1));
        self.0.set_position(sync.buckets_done);
        self.0.set_message(format!(
            "{}/{} parts compared · {} entries, {} fetched",
            HumanCount(sync.buckets_done),
            HumanCount(sync.buckets),
            HumanCount(sync.entries),
            HumanBytes(sync.bytes)
        ));
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
