//! How far a job is, for a person who waits for it.

use api::job::Job;
use indicatif::{HumanBytes, HumanCount};

use super::status;
use crate::output::Bar;

/// A bar for a job that was submitted.
pub(super) fn begin(color: bool) -> Bar {
    Bar::new(color, "submitted")
}

/// Draws where a job is.
pub(super) fn show(bar: &Bar, job: &Job) {
    let tasks = &job.progress.tasks;
    bar.show(status::word(job.state), tasks.done.into(), tasks.total.into(), describe(job));
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
    if progress.running > 0 {
        text.push_str(&format!(" · {} running", progress.running));
    }
    if progress.spilled_bytes > 0 {
        text.push_str(&format!(" · {} spilled", HumanBytes(progress.spilled_bytes)));
    }
    match progress.retries {
        0 => {}
        1 => text.push_str(" · 1 retry"),
        many => text.push_str(&format!(" · {many} retries")),
    }
    text
}
