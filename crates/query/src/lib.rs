//! SQL over files, split into stages that run anywhere: the only crate that knows DataFusion.
//!
//! An [`Engine`] does two things. [`Engine::plan_sql`] turns SQL into a graph of stages, cut where rows must change places;
//! [`Engine::run_task`] runs one partition of one stage from the plan's bytes and leaves Arrow IPC files. Who runs what, and
//! how files get from one worker to another, is not known here: files come in through [`ShuffleSource`].
//!
//! What stays true:
//! - a task is a function of its stage, its partition and its inputs: running it again gives the same rows in the same order,
//!   unless its stage says that it is not deterministic;
//! - the files of an attempt appear all at once or not at all;
//! - nothing outside the data directories is ever read, whatever a query or a plan says.

mod bounded;
mod engine;
mod error;
mod files;
mod plan;
mod run;
mod session;
mod shuffle;
mod stack;
#[cfg(test)]
mod tests;

pub use engine::{Engine, EngineSettings, PlanRequest};
pub use error::Error;
pub use files::{DataDirs, KvRow, KvSnapshot, KvSource, Remote, S3Settings};
pub use run::{Failure, RunTask, TaskProgress, Written};
pub use shuffle::{ByteStream, FetchFailed, ShuffleDir, ShufflePart, ShuffleSource, Sink};
