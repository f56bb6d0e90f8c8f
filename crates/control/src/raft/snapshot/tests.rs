//! What snapshots promise over restarts, crashes and damage.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;

use super::super::crash_disk::CrashDisk;
use super::super::disk::{Disk, OsDisk};
use super::super::types::{LogId, SnapshotMeta};
use super::SnapshotStore;
use crate::error::Error;
use crate::state::{Command, HistoryLimits, State};
use crate::types::{Op, Range, Txn};

const LIMITS: HistoryLimits = HistoryLimits {
    revisions: 100,
    bytes: 1 << 20,
};

fn store_on(disk: Arc<dyn Disk>, dir: &TempDir) -> SnapshotStore {
    SnapshotStore::open(disk, dir.path().to_owned(), LIMITS).unwrap()
}

fn store(dir: &TempDir) -> SnapshotStore {
    store_on(Arc::new(OsDisk), dir)
}

fn id(index: u64) -> LogId {
    LogId::new(1.into(), index)
}

fn meta(index: u64) -> SnapshotMeta {
    SnapshotMeta {
        last_log_id: Some(id(index)),
        ..SnapshotMeta::default()
    }
}

/// A state with so many keys of 1 KiB.
fn state(keys: usize) -> State {
    let mut state = State::new(LIMITS);
    for key in 0..keys {
        let put = Op::Put {
            key: format!("key/{key:05}"),
            value: Bytes::from(vec![b'v'; 1024]),
            lease: None,
        };
        let txn = Txn {
            then: vec![put],
            ..Txn::default()
        };
        state
            .apply(&Command::Txn {
                txn,
                user_quota: u64::MAX,
            })
            .unwrap();
    }
    state
}

fn files(dir: &TempDir) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn a_snapshot_comes_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let original = state(1000);
    store(&dir).save(&meta(9), &original.image()).unwrap();
    let (read, restored) = store(&dir).load(Some(id(9))).unwrap().unwrap();
    assert_eq!(read, meta(9));
    assert_eq!(restored.range(&Range::default()), original.range(&Range::default()));
    assert_eq!(restored.bytes(), original.bytes());
}

#[test]
fn the_last_two_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    for index in [8, 9, 10, 100] {
        store.save(&meta(index), &state(1).image()).unwrap();
    }
    assert_eq!(files(&dir).len(), 2);
    assert_eq!(store.load(None).unwrap().unwrap().0, meta(100));
    assert_eq!(store.newest().unwrap().0, meta(100));
}

#[test]
fn a_damaged_snapshot_is_refused_or_replaced_by_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    store(&dir).save(&meta(5), &state(2).image()).unwrap();
    store(&dir).save(&meta(9), &state(3).image()).unwrap();
    let newest = files(&dir).remove(1);
    let bytes = fs::read(&newest).unwrap();
    for place in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        fs::write(&newest, &damaged).unwrap();
        let (older, _) = store(&dir).load(Some(id(5))).unwrap().unwrap();
        assert_eq!(older, meta(5), "the log holds all since");
        let refused = store(&dir).load(Some(id(9))).map(|_| ());
        let Err(Error::Damaged(message)) = refused else {
            panic!("{refused:?}")
        };
        assert!(
            message.contains(newest.to_str().unwrap()) && message.contains("cluster restore"),
            "{message}"
        );
    }
    fs::write(&newest, &bytes[..bytes.len() - 1]).unwrap();
    assert!(store(&dir).load(Some(id(9))).is_err());
}

#[test]
fn a_log_without_its_snapshot_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(store(&dir).load(None).unwrap().is_none());
    assert!(matches!(store(&dir).load(Some(id(9))), Err(Error::Damaged(_))));
}

#[test]
fn a_crash_while_one_is_written_leaves_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    store(&dir).save(&meta(5), &state(2).image()).unwrap();
    let disk = CrashDisk::default();
    let store_on_disk = store_on(Arc::new(disk.clone()), &dir);
    disk.fail_syncs();
    store_on_disk.save(&meta(9), &state(3).image()).unwrap_err();
    disk.crash(100);
    assert_eq!(store(&dir).load(None).unwrap().unwrap().0, meta(5));
    assert_eq!(files(&dir).len(), 1, "what was unfinished is cleared away");
}
