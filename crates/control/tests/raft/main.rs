//! The raft engine on a real disk: the suite, and faults.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests themselves do")]

mod faults;

use std::sync::Arc;

use control::ControlStore;
use control::raft::{RaftOptions, RaftStore};
use tempfile::TempDir;

async fn start() -> (Arc<dyn ControlStore>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = RaftStore::open(RaftOptions::new(directory.path(), "m1")).await.unwrap();
    (store, directory)
}

control::conformance!(start);
