//! What a directory does with backups that are whole.

use std::fs;

use api::cache::{ReplicaItem, ReplicaState};
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};
use store::backup::{BackupDir, BackupMeta, Error};
use tempfile::TempDir;

use crate::items::{Item, State, any_items, files, id, meta, newest, open, write};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn what_was_backed_up_comes_back_in_its_order(items in any_items()) {
        let scratch = TempDir::new().expect("scratch directory");
        let dir = open(scratch.path(), 1);
        let made = write(&dir, "one", &items).expect("write");
        let tombstones = items.iter().filter(|item| matches!(item.state, State::Deleted { .. })).count() as u64;
        prop_assert_eq!((made.entries, made.tombstones), (items.len() as u64 - tombstones, tombstones));
        prop_assert_eq!(made.bytes, fs::metadata(&made.path).expect("file").len());
        let (info, read) = newest(&dir);
        prop_assert!(read == items, "other items came back");
        prop_assert_eq!(info.expect("whole"), Some(made));
    }
}

#[test]
fn what_was_evicted_is_not_in_a_backup() {
    let scratch = TempDir::new().unwrap();
    let dir = open(scratch.path(), 1);
    let mut writer = dir.begin(meta("one")).unwrap();
    let evicted = ReplicaItem {
        namespace: "",
        key: "k",
        version: 1,
        state: ReplicaState::Evicted,
    };
    writer.add(&evicted).unwrap();
    let info = writer.finish().unwrap();
    assert_eq!((info.entries, info.tombstones), (0, 0));
    assert_eq!(newest(&dir).1, []);
}

#[test]
fn backups_are_listed_and_loaded_newest_first_whatever_the_clock_said() {
    let scratch = TempDir::new().unwrap();
    let mut made = Vec::new();
    for (name, made_at_ms) in [("zz", 3_000), ("mm", 2_000), ("aa", 1_000)] {
        // Opened each time: the order survives a restart.
        let dir = open(scratch.path(), 9);
        let mut writer = dir
            .begin(BackupMeta {
                made_at_ms,
                ..meta(name)
            })
            .unwrap();
        writer.add(&Item::live(name, 1, "v").borrowed()).unwrap();
        made.insert(0, writer.finish().unwrap());
    }
    let dir = open(scratch.path(), 9);
    let listed: Vec<_> = dir.list().unwrap().into_iter().map(|found| found.info.unwrap()).collect();
    assert_eq!(listed, made);
    let (info, items) = newest(&dir);
    assert_eq!(info.unwrap().unwrap(), made[0]);
    assert_eq!(items, [Item::live("aa", 1, "v")]);
    let mut items = Vec::new();
    let info = dir.load(&id("mm"), |item| items.push(Item::of(&item))).unwrap();
    assert_eq!((info, items), (made[1].clone(), vec![Item::live("mm", 1, "v")]));
}

#[test]
fn the_newest_whole_backups_are_kept_and_damaged_ones_do_not_count() {
    let scratch = TempDir::new().unwrap();
    let dir = open(scratch.path(), 2);
    let names = |dir: &BackupDir| -> Vec<String> { dir.list().unwrap().iter().map(|found| found.id.to_string()).collect() };
    for name in ["a", "b"] {
        write(&dir, name, &[]).unwrap();
    }
    let damaged = write(&dir, "c", &[]).unwrap().path;
    assert_eq!(names(&dir), ["c", "b"]);
    let bytes = fs::read(&damaged).unwrap();
    fs::write(&damaged, &bytes[..bytes.len() - 1]).unwrap();
    write(&dir, "d", &[]).unwrap();
    assert_eq!(names(&dir), ["d", "c", "b"], "two of them are whole");
    write(&dir, "e", &[]).unwrap();
    assert_eq!(names(&dir), ["e", "d"]);
    drop(dir);
    let dir = open(scratch.path(), 0);
    write(&dir, "f", &[]).unwrap();
    assert_eq!(names(&dir), ["f"], "at least one is kept");
}

#[test]
fn backups_that_were_asked_for_and_periodic_ones_do_not_displace_each_other() {
    let scratch = TempDir::new().unwrap();
    let dir = open(scratch.path(), 2);
    for name in ["a", "b", "asked-1", "asked-2", "asked-3", "asked-4"] {
        write(&dir, name, &[]).unwrap();
    }
    let names = || -> Vec<String> { dir.list().unwrap().iter().map(|found| found.id.to_string()).collect() };
    assert_eq!(names(), ["asked-4", "asked-3", "b", "a"]);
    for name in ["c", "d", "e"] {
        write(&dir, name, &[]).unwrap();
    }
    assert_eq!(names(), ["e", "d", "asked-4", "asked-3"]);
    assert_eq!(
        newest(&dir).0.unwrap().unwrap().id,
        id("e"),
        "a node begins with the newest, whoever wanted it"
    );
}

#[test]
fn an_id_is_used_once() {
    let scratch = TempDir::new().unwrap();
    let dir = open(scratch.path(), 9);
    let writer = dir.begin(meta("one")).unwrap();
    assert!(matches!(dir.begin(meta("one")), Err(Error::Exists(_))), "it is being written");
    writer.finish().unwrap();
    assert!(matches!(dir.begin(meta("one")), Err(Error::Exists(_))), "it is there");
    assert_eq!(files(scratch.path()).len(), 1);
    assert!(matches!(dir.load(&id("two"), |_| {}), Err(Error::NotFound { .. })));
}

#[test]
fn two_backups_may_be_written_at_once() {
    let scratch = TempDir::new().unwrap();
    let dir = open(scratch.path(), 9);
    let (mut one, mut two) = (dir.begin(meta("one")).unwrap(), dir.begin(meta("two")).unwrap());
    two.add(&Item::live("b", 2, "2").borrowed()).unwrap();
    one.add(&Item::live("a", 1, "1").borrowed()).unwrap();
    two.finish().unwrap();
    one.finish().unwrap();
    assert_eq!(newest(&dir).1, [Item::live("b", 2, "2")], "the newest is the one begun last");
}

#[test]
fn files_of_others_are_left_alone() {
    let scratch = TempDir::new().unwrap();
    for name in ["notes.tmp", "x.backup", "1-a b.backup", "README"] {
        fs::write(scratch.path().join(name), "mine").unwrap();
    }
    let dir = open(scratch.path(), 1);
    assert!(matches!(newest(&dir).0, Ok(None)), "there is no backup");
    write(&dir, "one", &[]).unwrap();
    write(&dir, "two", &[]).unwrap();
    assert_eq!(dir.list().unwrap().len(), 1);
    assert_eq!(files(scratch.path()).len(), 5);
}

#[test]
fn a_directory_that_cannot_be_used_says_what_to_do() {
    let scratch = TempDir::new().unwrap();
    let file = scratch.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = BackupDir::open(&path, 1).unwrap_err();
        assert!(error.to_string().contains("BACKUP_DIR must be a directory"), "{error}");
    }
    let deep = scratch.path().join("a/b/c");
    write(&open(&deep, 1), "one", &[]).unwrap();
    let dir = open(&deep, 1);
    let error = BackupDir::open(&deep, 1).unwrap_err();
    assert!(matches!(error, Error::InUse(_)), "{error}");
    let writer = dir.begin(meta("two")).unwrap();
    drop(dir);
    assert!(
        matches!(BackupDir::open(&deep, 1), Err(Error::InUse(_))),
        "a writer still needs it"
    );
    drop(writer);
    assert_eq!(files(open(&deep, 1).list().unwrap()[0].path.parent().unwrap()).len(), 1);
}

#[test]
#[ignore = "takes a while; for figures: cargo nextest run -p store --run-ignored only --no-capture a_million"]
fn a_million_entries_take_this_long() {
    let scratch = TempDir::new().unwrap();
    let dir = open(scratch.path(), 1);
    for (name, noise) in [("half-noise", 50), ("all-noise", 100)] {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut value = vec![b'x'; 100];
        let begun = std::time::Instant::now();
        let mut writer = dir.begin(meta(name)).unwrap();
        for n in 0..1_000_000_u64 {
            for byte in &mut value[..noise] {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *byte = state as u8;
            }
            writer
                .add(&Item::live(&format!("user:{n}"), n, value.as_slice()).borrowed())
                .unwrap();
        }
        let info = writer.finish().unwrap();
        let (written, begun) = (begun.elapsed(), std::time::Instant::now());
        let mut bytes = 0;
        dir.load(&info.id, |item| bytes += item.key.len()).unwrap();
        println!(
            "{name}: written in {written:?}, {} bytes, loaded in {:?}",
            info.bytes,
            begun.elapsed()
        );
    }
}
