//! A disk that fails after so many bytes, and files that are wrong though every checksum is right.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use api::cache::{Lifetime, Packing, ReplicaItem, ReplicaState};
use api::{BootId, Epoch, NodeId};
use tempfile::TempDir;

use super::writer::{Sink, Unfinished};
use super::{BackupDir, BackupId, BackupInfo, BackupMeta, BackupWriter, Error};

/// A file on a disk that has room for `left` bytes more, and perhaps loses what it took.
struct Failing {
    file: File,
    left: usize,
    sync_fails: bool,
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.left);
        if taken == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.left -= taken;
        self.file.write(&bytes[..taken])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sink for Failing {
    fn sync(&mut self) -> io::Result<()> {
        if self.sync_fails {
            return Err(io::Error::other("the disk is broken"));
        }
        self.file.sync_all()
    }
}

fn meta(id: &str) -> BackupMeta {
    BackupMeta {
        id: BackupId::try_new(id).unwrap(),
        node: NodeId::try_new("aux-1").unwrap(),
        boot_id: BootId::new_random(),
        epoch: Epoch(1),
        made_at_ms: 1,
    }
}

fn item<'a>(key: &'a str, value: &'a [u8]) -> ReplicaItem<'a> {
    ReplicaItem {
        namespace: "",
        key,
        version: 1,
        state: ReplicaState::Live {
            value,
            content_type: "",
            packing: Packing::Plain,
            lifetime: Lifetime::default(),
            created: true,
        },
    }
}

fn on_failing_disk(dir: &BackupDir, path: &Path, room: usize, sync_fails: bool) -> Result<BackupWriter, Error> {
    let file = Unfinished {
        path: path.join("new.backup.tmp"),
        keep: false,
    };
    let sink = Failing {
        file: File::create_new(&file.path).unwrap(),
        left: room,
        sync_fails,
    };
    let target = path.join("000002-new.backup");
    BackupWriter::begin(dir.clone(), meta("new"), Box::new(sink), file, target)
}

/// Two blocks and a bit.
fn fill(mut writer: BackupWriter) -> Result<BackupInfo, Error> {
    let large = vec![b'x'; 1 << 20];
    for key in ["a", "b"] {
        writer.add(&item(key, &large))?;
    }
    writer.add(&item("c", b"small"))?;
    writer.finish()
}

fn files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn a_disk_that_is_full_after_any_byte_leaves_nothing_new_and_all_that_was() {
    let scratch = TempDir::new().unwrap();
    let dir = BackupDir::open(scratch.path(), 1).unwrap();
    dir.begin(meta("old")).unwrap().finish().unwrap();
    let before = files(scratch.path());
    let mut room = 0;
    let info = loop {
        match on_failing_disk(&dir, scratch.path(), room, false).and_then(fill) {
            Ok(info) => break info,
            Err(error) => {
                assert!(matches!(error, Error::Io { action: "write", .. }), "room for {room}: {error}");
                assert!(error.to_string().contains("make some"), "{error}");
                assert_eq!(files(scratch.path()), before, "room for {room}");
                room += 1;
            }
        }
    };
    assert_eq!(
        info.bytes, room as u64,
        "it fits when there is room for every byte, and not before"
    );
    assert_eq!(dir.newest_whole(|_| {}).unwrap(), Some(info));
}

#[test]
fn what_could_not_be_synced_is_not_a_backup() {
    let scratch = TempDir::new().unwrap();
    let dir = BackupDir::open(scratch.path(), 1).unwrap();
    dir.begin(meta("old")).unwrap().finish().unwrap();
    let before = files(scratch.path());
    let error = on_failing_disk(&dir, scratch.path(), usize::MAX, true)
        .and_then(fill)
        .unwrap_err();
    assert!(matches!(error, Error::Io { action: "sync", .. }), "{error}");
    assert_eq!(files(scratch.path()), before);
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let scratch = TempDir::new().unwrap();
    let dir = BackupDir::open(scratch.path(), 1).unwrap();
    let before = files(scratch.path());
    let mut writer = dir.begin(meta("new")).unwrap();
    writer.add(&item("k", b"v")).unwrap();
    assert_eq!(files(scratch.path()).len(), before.len() + 1);
    drop(writer);
    assert_eq!(files(scratch.path()), before);
}

#[test]
fn right_checksums_over_wrong_items_hand_over_nothing() {
    let scratch = TempDir::new().unwrap();
    let dir = BackupDir::open(scratch.path(), 9).unwrap();
    let mut bytes = Vec::new();
    super::item::encode(&item("k", b"v"), &mut bytes);
    let cut = bytes[..bytes.len() - 1].to_vec();
    let uncounted = bytes.clone();
    let kind = 8 + 4 + 4 + 1;
    let mut unknown = bytes.clone();
    unknown[kind] = 7;
    for (id, raw) in [("cut", cut), ("uncounted", uncounted), ("unknown", unknown)] {
        let mut writer = dir.begin(meta(id)).unwrap();
        writer.add(&item("before", b"true")).unwrap();
        writer.block.extend(raw);
        let info = writer.finish().unwrap();
        let mut seen = 0;
        let error = dir.load(&info.id, |_| seen += 1).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{id}: {error}");
        assert_eq!(seen, 0, "{id}");
    }
}

#[test]
fn an_item_that_is_too_large_is_refused_and_the_backup_goes_on() {
    let scratch = TempDir::new().unwrap();
    let dir = BackupDir::open(scratch.path(), 1).unwrap();
    let mut writer = dir.begin(meta("new")).unwrap();
    // Memory that is never touched.
    let huge = vec![0; super::format::MAX_ITEM];
    let error = writer.add(&item("huge", &huge)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    writer.add(&item("small", b"v")).unwrap();
    let info = writer.finish().unwrap();
    assert_eq!((info.entries, dir.newest_whole(|_| {}).unwrap()), (1, Some(info.clone())));
}
