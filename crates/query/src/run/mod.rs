//! Running one task: one partition of one stage.

mod failure;
mod interruptible;
mod meter;
mod pool;
mod prepare;
mod progress;
mod scanned;
mod spawned;
mod task;

pub use failure::Failure;
pub(crate) use meter::Meter;
pub use progress::TaskProgress;
pub(crate) use spawned::follow_spawned_work;
pub(crate) use task::run;
pub use task::{RunTask, Written};
