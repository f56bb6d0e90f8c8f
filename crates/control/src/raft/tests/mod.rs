//! The engine as its users see it.

mod calls;
mod cluster;
mod durability;
mod full_disk;
mod leases;
mod members;
pub(crate) mod simulation;
mod suite;
mod watches;
mod world;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::crash_disk::CrashDisk;
use super::network::NoNetwork;
use super::{RaftOptions, RaftStore};
use crate::error::Error;
use crate::types::{LeaseId, Op, Txn};

/// A store on an ordinary disk.
async fn open(dir: &TempDir) -> Arc<RaftStore> {
    RaftStore::open(RaftOptions::new(dir.path(), "m1")).await.unwrap()
}

/// A store on a disk that can lose power.
async fn open_on(disk: &CrashDisk, options: RaftOptions) -> Result<Arc<RaftStore>, Error> {
    RaftStore::open_on(Arc::new(disk.clone()), Arc::new(NoNetwork), options).await
}

fn put(key: impl Into<String>, value: impl Into<Bytes>, lease: Option<LeaseId>) -> Txn {
    Txn {
        then: vec![Op::Put {
            key: key.into(),
            value: value.into(),
            lease,
        }],
        ..Txn::default()
    }
}

/// Waits until a condition holds, and fails when it takes too long.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never happened: {what}");
}
