//! The life of jobs, as a pure state machine: what to run next, where, and what a failure means.
//!
//! [`Scheduler`] takes events (a submission, a poll, a report, the passing of time) with a clock value and returns decisions.
//! It does no I/O, starts no task and draws no random number, so that every fault it must survive is a unit test of
//! milliseconds. Whoever drives it keeps the promises that need a disk or a network: see [`Command`].
//!
//! What stays true, whatever workers and networks do:
//! - every job ends: succeeded, failed with a reason, or cancelled;
//! - of each partition one attempt wins, and a result consists of exactly one attempt of each partition of the last stage;
//! - a task runs only when all partitions of its inputs are there, and done work is not done again unless its output was lost;
//! - a worker is never given more than its free slots, and is lost only by silence, never by being busy;
//! - a new leader that has what was durable goes on with the same run: what was said to be durable is not done again.

mod attempt;
mod command;
mod graph;
mod journal;
mod pending;
mod policy;
mod queue;
mod record;
mod run;
mod save;
mod scheduler;
mod stages;
mod task;
mod worker;

pub use command::{Command, Ending, Heard, TaskResult};
pub use graph::{dot, text};
pub use policy::Policy;
pub use queue::NamespaceLoad;
pub use record::{JobRecord, JobTrace, Note, NoteKind, PartLocation};
pub use save::{AttemptEnd, AttemptRecord, CHUNK_TASKS, DoneRecord, Save, TaskChunk, TaskRecord};
pub use scheduler::{CancelError, Figures, Scheduler};

/// A point in time, Unix milliseconds.
pub type Millis = u64;
