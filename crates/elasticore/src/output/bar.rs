//! A bar on standard error, for a person who waits at a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const COLORED: &str = "{spinner:.cyan} {prefix} [{bar:24.cyan/blue}] {elapsed} · {wide_msg}";
const PLAIN: &str = "{spinner} {prefix} [{bar:24}] {elapsed} · {wide_msg}";

/// A bar that is not there unless standard error is a terminal.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// An empty one; `state` stands before it.
    pub(crate) fn new(color: bool, state: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(if color { COLORED } else { PLAIN });
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        bar.set_prefix(state);
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    /// Draws how much is done of how much there is.
    pub(crate) fn show(&self, state: &'static str, done: u64, of: u64, message: String) {
        self.0.set_prefix(state);
        // A bar of length 0 is drawn full.
        self.0.set_length(of.max(1));
        self.0.set_position(done);
        self.0.set_message(message);
    }

    /// Says something behind it.
    pub(crate) fn say(&self, message: String) {
        self.0.set_message(message);
    }

    /// Takes it away.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
