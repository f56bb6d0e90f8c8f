//! Input files: where they may lie, how they are named, and how they are read.
//!
//! A table goes through `uri` (what is meant) → `walk` or `objects` (which files that is) → `choose` (their format and
//! compression) → `hive` (columns in directory names) → `schema` (columns in the files) → `provider` (what the engine scans).
//! When a task runs, texts pass through `opened` (unpacked) and `guard` (bounded) on their way to the decoder, and pages of Parquet files
//! through `unpacking` (bounded).

mod choose;
mod data_dirs;
mod footer;
mod guard;
mod hive;
mod kv;
mod multiline;
mod objects;
mod opened;
mod pages;
mod provider;
mod reading;
mod records;
mod row_groups;
mod schema;
mod stores;
mod table;
mod text;
mod types;
mod unpacking;
mod uri;
mod walk;

use std::sync::Arc;

pub use data_dirs::DataDirs;
pub use kv::{KvRow, KvSnapshot, KvSource};
pub(crate) use opened::STORE as TEXT;
pub(crate) use reading::{guarded, plain};
pub(crate) use row_groups::RowGroups;
pub(crate) use stores::{Metered, Stores};
pub use stores::{Remote, S3Settings};
pub(crate) use table::register;

/// Where tables may come from, besides the stores of the runtime.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    pub(crate) dirs: DataDirs,
    pub(crate) remote: Arc<Remote>,
    pub(crate) kv: Option<Arc<dyn KvSource>>,
}
