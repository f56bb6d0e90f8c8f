//! The progress of a job on standard error, when a person looks at it.

use std::time::Duration;

use api::job::Job;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::status;
use crate::client::Error;

const COLORED: &str = "{spinner:.cyan} {prefix} [{bar:24.cyan/blue}] {elapsed} · {wide_msg}";
const PLAIN: &str = "{spinner} {prefix} [{bar:24}] {elapsed} · {wide_msg}";

/// A bar that is not there unless standard error is a terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(color: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(if color { COLORED } else { PLAIN });
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        bar.set_prefix("submitted");
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    /// Draws where a job is.
    pub(super) fn show(&self, job: &Job) {
        self.0.set_prefix(status::word(job.state));
        // A bar of length 0 is drawn full.
        self.0.set_length(job.progress.tasks.total.max(1).into());
        self.0.set_position(job.progress.tasks.done.into());
        self.0.set_message(describe(job));
    }

    /// Says that the cluster does not answer.
    pub(super) fn lost(&self, error: &Error) {
        self.0.set_message(format!("waiting for the cluster: {error}"));
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// Progress in words.
pub(super) fn describe(job: &Job) -> String {
    let progress = &job.progress;
    let mut text = format!(
        "stages {}/{} · tasks {}/{} · {} rows",
        progress.stages.done,
        progress.stages.total,
        progress.tasks.done,
        progress.tasks.total,
        HumanCount(progress.rows)
    );
    match progress.retries {
        0 => {}
        1 => text.push_str(" · 1 retry"),
        many => text.push_str(&format!(" · {many} retries")),
    }
    text
}
