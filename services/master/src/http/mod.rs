//! The master's HTTP surface: extract, call a use case, map, return. No business rule lives here.

mod audit;
mod auth;
mod backups;
mod cache;
mod cache_batch;
mod cache_entry;
mod cache_load;
mod cache_prefix;
mod cache_query;
mod cluster;
mod cluster_snapshot;
mod datasets;
mod document;
mod documented;
mod entrance;
mod events;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzed;
mod gate;
mod internal_cluster;
mod internal_jobs;
mod jobs;
mod kv;
mod kv_txn;
mod kv_watch;
mod lifetime;
mod limits;
mod namespaces;
mod nodes;
mod params;
mod ring;
mod router;
#[cfg(test)]
mod tests;
mod who;

pub(crate) use datasets::is_unhurried;
pub(crate) use entrance::Entrance;
pub(crate) use gate::Front;
pub(crate) use jobs::is_submission;
pub(crate) use router::{private, public};

use std::sync::Arc;

use crate::app::App;

/// What handlers work on.
pub(crate) type AppState = Arc<App>;
