//! Running one task: one partition of one stage.

mod failure;
mod interruptible;
mod prepare;
mod scanned;
mod task;

pub use failure::Failure;
pub(crate) use task::run;
pub use task::{RunTask, TaskProgress, Written};
