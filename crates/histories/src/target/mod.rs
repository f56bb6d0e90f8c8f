//! Who is asked: one way to the store, over which every request is sent once and never again by us.

mod http;
mod sse;
mod store;

use std::fmt::Debug;

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::history::{Answer, Op, Value};

pub use http::HttpTarget;
pub use store::StoreTarget;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Executed.
    Done(Answer),
    /// Certainly not executed, now or later.
    NotExecuted(String),
    /// Nobody knows.
    Unknown(String),
}

/// What comes on a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A key changed; nothing when it was removed.
    Key {
        /// Which.
        key: String,
        /// What it holds now.
        value: Option<Value>,
        /// At which revision.
        revision: u64,
        /// Whether everything up to this revision has been shown.
        whole: bool,
        /// Where to resume after it; none when that must be before it.
        resume: Option<Position>,
    },
    /// The revision asked for is gone.
    Compacted,
    /// The stream ends here.
    Broken(String),
}

/// Where a watch begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// At a revision, that one included.
    From(u64),
    /// After what this id was given with, by any target of the same kind.
    After(String),
}

/// A stream of changes.
pub type Changes = BoxStream<'static, Change>;

/// A way to the store.
#[async_trait]
pub trait Target: Debug + Send + Sync + 'static {
    /// Its name, for people.
    fn name(&self) -> &str;

    /// Sends a request once.
    async fn ask(&self, op: &Op) -> Outcome;

    /// Watches keys with a prefix.
    ///
    /// # Errors
    /// Why it does not begin, in words; `compacted` when the revision is gone.
    async fn watch(&self, prefix: &str, begin: &Position) -> Result<Changes, String>;
}

/// Why a watch does not begin when its revision is gone.
pub const COMPACTED: &str = "compacted";
