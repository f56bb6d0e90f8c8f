//! The remote engine, over HTTP to a raft engine in this process: the suite, and faults.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests themselves do")]

mod faults;
mod masters;

use std::sync::Arc;

use control::ControlStore;
use masters::{Master, raft};

async fn start() -> (Arc<dyn ControlStore>, impl Sized) {
    let (store, directory) = raft().await;
    let master = Master::start(store).await;
    (masters::remote(&[&master]), (master, directory))
}

control::conformance!(start);
