//! What the log promises over restarts, crashes and damage.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use openraft::RaftLogReader as _;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt as _};
use tempfile::TempDir;

use super::super::crash_disk::CrashDisk;
use super::super::disk::{Disk, OsDisk};
use super::super::metrics::RaftMetrics;
use super::super::types::{Entry, LogId, Payload, Vote};
use super::record::Record;
use super::{LogOptions, LogStore};
use crate::error::Error;
use crate::state::Command;
use crate::types::{Op, Txn};

const NODE: u64 = 7;

fn open_on(disk: Arc<dyn Disk>, dir: &Path, segment_bytes: u64) -> Result<LogStore, Error> {
    let metrics = RaftMetrics::new(None).unwrap();
    LogStore::open(
        disk,
        LogOptions {
            dir: dir.to_owned(),
            node_id: NODE,
            segment_bytes,
            metrics,
        },
    )
}

fn open(dir: &TempDir) -> LogStore {
    open_on(Arc::new(OsDisk), dir.path(), 1 << 20).unwrap()
}

fn refusal(dir: &TempDir) -> String {
    match open_on(Arc::new(OsDisk), dir.path(), 1 << 20) {
        Err(Error::Damaged(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn id(term: u64, index: u64) -> LogId {
    LogId::new(term.into(), index)
}

fn entry(term: u64, index: u64) -> Entry {
    let put = Op::Put {
        key: format!("key/{index}"),
        value: Bytes::from(vec![b'v'; 50]),
        lease: None,
    };
    let txn = Txn {
        then: vec![put],
        ..Txn::default()
    };
    Entry {
        log_id: id(term, index),
        payload: Payload::Normal(Arc::new(Command::Txn { txn, user_quota: 1 })),
    }
}

fn entries(indexes: std::ops::Range<u64>) -> Vec<Entry> {
    indexes.map(|index| entry(1, index)).collect()
}

async fn held(log: &mut LogStore) -> Vec<Entry> {
    log.get_log_reader().await.try_get_log_entries(0..).await.unwrap()
}

fn files(dir: &TempDir) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn everything_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(&dir);
    log.save_vote(&Vote::new_committed(3, 9)).await.unwrap();
    log.blocking_append(entries(0..20)).await.unwrap();
    log.truncate_after(Some(id(1, 14))).await.unwrap();
    log.blocking_append([entry(2, 15)]).await.unwrap();
    log.save_committed(Some(id(1, 12))).await.unwrap();
    log.purge(id(1, 4)).await.unwrap();
    log.close().await.unwrap();
    let before = held(&mut log).await;
    drop(log);

    let mut log = open(&dir);
    assert_eq!(held(&mut log).await, before);
    assert_eq!(before.len(), 11);
    assert_eq!(log.get_log_state().await.unwrap().last_purged_log_id, Some(id(1, 4)));
    assert_eq!(log.get_log_state().await.unwrap().last_log_id, Some(id(2, 15)));
    assert_eq!(log.read_committed().await.unwrap(), Some(id(1, 12)));
    assert_eq!(
        log.get_log_reader().await.read_vote().await.unwrap(),
        Some(Vote::new_committed(3, 9))
    );
    log.blocking_append([entry(2, 16)]).await.unwrap();
}

#[tokio::test]
async fn full_segments_are_removed_once_purged_and_nothing_else_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open_on(Arc::new(OsDisk), dir.path(), 2_000).unwrap();
    log.save_vote(&Vote::new_committed(1, 1)).await.unwrap();
    for index in 0..100 {
        log.blocking_append([entry(1, index)]).await.unwrap();
    }
    let before = files(&dir).len();
    assert!(before > 3, "{before} segments");
    log.purge(id(1, 89)).await.unwrap();
    log.close().await.unwrap();
    assert!(files(&dir).len() < before);
    drop(log);

    let mut log = open_on(Arc::new(OsDisk), dir.path(), 2_000).unwrap();
    assert_eq!(held(&mut log).await, entries(90..100));
    assert_eq!(
        log.get_log_reader().await.read_vote().await.unwrap(),
        Some(Vote::new_committed(1, 1))
    );
}

#[tokio::test]
async fn a_crash_loses_only_what_was_not_acknowledged() {
    for torn in [0, 1, 11, 12, 13, 40, 100, 1_000] {
        let dir = tempfile::tempdir().unwrap();
        let disk = CrashDisk::default();
        let mut log = open_on(Arc::new(disk.clone()), dir.path(), 3_000).unwrap();
        log.save_vote(&Vote::new(4, 1)).await.unwrap();
        for index in 0..60 {
            log.blocking_append([entry(1, index)]).await.unwrap();
        }
        // Written, never synced.
        disk.fail_syncs();
        log.blocking_append(entries(60..63)).await.unwrap_err();
        disk.crash(torn);
        drop(log);

        let mut log = open_on(Arc::new(OsDisk), dir.path(), 3_000).unwrap();
        let held_after = held(&mut log).await;
        assert!(
            held_after.len() == 60 || held_after.len() == 63,
            "{torn} torn bytes: {} entries",
            held_after.len()
        );
        assert_eq!(held_after[..60], entries(0..60));
        assert_eq!(log.get_log_reader().await.read_vote().await.unwrap(), Some(Vote::new(4, 1)));
        log.blocking_append([entry(1, held_after.len() as u64)]).await.unwrap();
    }
}

#[tokio::test]
async fn every_torn_tail_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(&dir);
    log.blocking_append(entries(0..3)).await.unwrap();
    let path = files(&dir).remove(0);
    let whole = fs::metadata(&path).unwrap().len();
    log.blocking_append(entries(3..4)).await.unwrap();
    drop(log);
    let bytes = fs::read(&path).unwrap();
    for length in usize::try_from(whole).unwrap()..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        let mut log = open(&dir);
        assert_eq!(held(&mut log).await, entries(0..3), "cut at {length}");
        drop(log);
        // A file that grew before its content arrived.
        let mut zeros = bytes[..length].to_vec();
        zeros.resize(bytes.len() + 100, 0);
        fs::write(&path, &zeros).unwrap();
        assert_eq!(held(&mut open(&dir)).await, entries(0..3), "zeros from {length}");
    }
}

#[tokio::test]
async fn every_flipped_bit_inside_is_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(&dir);
    log.blocking_append(entries(0..2)).await.unwrap();
    let path = files(&dir).remove(0);
    let inside = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
    log.blocking_append(entries(2..4)).await.unwrap();
    drop(log);
    let bytes = fs::read(&path).unwrap();
    for place in 0..inside {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x10;
        fs::write(&path, &damaged).unwrap();
        let message = refusal(&dir);
        assert!(
            message.contains(path.to_str().unwrap()) && message.contains("offset"),
            "{message}"
        );
        assert!(
            message.contains("cluster remove") && message.contains("cluster restore"),
            "{message}"
        );
        assert_eq!(fs::read(&path).unwrap(), damaged, "a refusal changes nothing");
    }
    fs::write(&path, &bytes).unwrap();
    assert_eq!(held(&mut open(&dir)).await, entries(0..4));
}

#[tokio::test]
async fn a_missing_or_short_segment_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open_on(Arc::new(OsDisk), dir.path(), 500).unwrap();
    for index in 0..30 {
        log.blocking_append([entry(1, index)]).await.unwrap();
    }
    drop(log);
    let files = files(&dir);
    let second = fs::read(&files[1]).unwrap();
    fs::write(&files[1], &second[..second.len() - 1]).unwrap();
    assert!(refusal(&dir).contains(files[1].to_str().unwrap()));
    fs::remove_file(&files[1]).unwrap();
    assert!(refusal(&dir).contains("missing"));
}

#[tokio::test]
async fn a_segment_begun_by_a_crash_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(&dir);
    log.blocking_append(entries(0..3)).await.unwrap();
    drop(log);
    for content in [&b""[..], &[0; 30], b"half a head"] {
        fs::write(dir.path().join(format!("{:020}.log", 2)), content).unwrap();
        assert_eq!(held(&mut open(&dir)).await, entries(0..3));
    }
}

#[tokio::test]
async fn the_log_of_another_node_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    let metrics = RaftMetrics::new(None).unwrap();
    let options = LogOptions {
        dir: dir.path().to_owned(),
        node_id: NODE + 1,
        segment_bytes: 1 << 20,
        metrics,
    };
    let refused = LogStore::open(Arc::new(OsDisk), options);
    assert!(
        matches!(&refused, Err(Error::Invalid(message)) if message.contains("node 7")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::default();
    let mut log = open_on(Arc::new(disk.clone()), dir.path(), 1 << 20).unwrap();
    log.blocking_append(entries(0..1)).await.unwrap();
    assert_eq!(log.failure(), None);
    disk.fail_syncs();
    log.blocking_append(entries(1..2)).await.unwrap_err();
    assert!(log.failure().unwrap().contains("the disk is broken"));
    log.save_vote(&Vote::new(9, 1)).await.unwrap_err();
    log.close().await.unwrap_err();
}

/// The bytes of one record of each kind, as version 1 of the format writes them. When this fails, logs written before
/// cannot be read any more: add a new kind, or a new format with a way to read this one.
#[test]
fn the_format_is_frozen() {
    use super::super::format::{Position, StoredEntry, StoredVote};
    use super::super::types::{Membership, Peer};
    use super::record::{FORMAT, Head, decode, encode};
    use crate::types::{Compare, LeaseId, Range};
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    let vote = StoredVote::from(&Vote::new_committed(5, 2));
    let position = Position { term: 5, index: 300 };
    let txn = Txn {
        compares: vec![
            Compare::Exists("a".into()),
            Compare::Absent("b".into()),
            Compare::CreateRevision("c".into(), 1),
            Compare::ModRevision("d".into(), 2),
            Compare::Value("e".into(), Bytes::from_static(b"v")),
        ],
        then: vec![
            Op::Put {
                key: "k".into(),
                value: Bytes::from_static(b"value"),
                lease: Some(LeaseId(3)),
            },
            Op::Delete { key: "k".into() },
            Op::DeletePrefix { prefix: "p/".into() },
        ],
        otherwise: vec![
            Op::Get { key: "k".into() },
            Op::Range(Range {
                prefix: "p/".into(),
                limit: 9,
                after: Some("p/1".into()),
            }),
        ],
    };
    let members = Membership::new(
        vec![BTreeSet::from([1])],
        BTreeMap::from([
            (
                1,
                Peer {
                    name: "m1".to_owned(),
                    address: "m:9000".into(),
                    store: Some(uuid::Uuid::from_u128(7)),
                },
            ),
            (2, Peer::default()),
        ]),
    );
    let payloads = [
        Payload::Blank,
        Payload::Normal(Arc::new(Command::Txn {
            txn,
            user_quota: 1 << 30,
        })),
        Payload::Normal(Arc::new(Command::Grant {
            ttl: Duration::from_millis(1500),
        })),
        Payload::Normal(Arc::new(Command::Revoke { lease: LeaseId(-3) })),
        Payload::Membership(members.unwrap()),
    ];
    let head = Head {
        format: FORMAT,
        node_id: 1,
        vote: Some(vote),
        committed: Some(position),
        purged: None,
    };
    let mut records = vec![
        Record::Head(head),
        Record::Vote(vote),
        Record::Committed(position),
        Record::TruncatedAfter(Some(position)),
        Record::PurgedUpTo(position),
    ];
    let entries = payloads.map(|payload| Entry {
        log_id: id(5, 300),
        payload,
    });
    records.extend(entries.iter().map(|entry| Record::Entry(StoredEntry::from(entry))));

    let mut bytes = Vec::new();
    for record in &records {
        encode(record, &mut bytes).unwrap();
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN);
    assert_eq!(decode(&bytes).unwrap(), records);
}

const GOLDEN: &str = concat!(
    "000201010502010105ac0200020502010305ac02040105ac020505ac020105ac02000105ac02010005000161010162020163",
    "010301640204016501760300016b0576616c7565010601016b0202702f0203016b0402702f090103702f3180808080040105",
    "ac0201010180cab5ee010105ac020102050105ac02020101010201026d31066d3a3930303001100000000000000000000000000000000702000000"
);
