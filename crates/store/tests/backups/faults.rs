//! Other processes, killed processes and full disks, with real processes: this binary, run again.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use store::backup::{BackupDir, Error};
use tempfile::TempDir;

use crate::items::{Item, files, id, meta, newest, open, write};

const DIRECTORY: &str = "BACKUPS_TEST_DIRECTORY";

/// A run of one of the tests below that are ignored otherwise, with `before` said to its shell.
fn child(test: &str, directory: &Path, before: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{before} exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().expect("this binary"))
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(DIRECTORY, directory);
    command
}

fn directory() -> std::ffi::OsString {
    std::env::var_os(DIRECTORY).expect("run by another test")
}

/// Values that do not compress: 64 KiB of noise each.
fn noise(count: u64) -> Vec<Item> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    let value = |_| -> Vec<u8> { (0..65_536).map(|_| next()).collect() };
    let values: Vec<Vec<u8>> = (0..count).map(value).collect();
    let keys = values.into_iter().zip(1..);
    keys.map(|(value, n)| Item::live(&format!("k{n}"), n, value)).collect()
}

#[test]
#[ignore = "is killed by a_killed_process_gives_the_directory_back_and_its_half_backup_is_removed"]
fn holds_the_directory_with_half_a_backup() {
    let dir = open(Path::new(&directory()), 9);
    let mut writer = dir.begin(meta("half")).unwrap();
    for item in noise(40) {
        writer.add(&item.borrowed()).unwrap();
    }
    assert!(writer.written() > 2 << 20);
    println!("\nready");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_killed_process_gives_the_directory_back_and_its_half_backup_is_removed() {
    let scratch = TempDir::new().unwrap();
    let items = [Item::live("k", 1, "kept")];
    write(&open(scratch.path(), 9), "kept", &items).unwrap();
    let mut child = child("faults::holds_the_directory_with_half_a_backup", scratch.path(), "")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"), "the other process failed");
    let error = BackupDir::open(scratch.path(), 9).unwrap_err();
    assert!(matches!(error, Error::InUse(_)), "{error}");
    assert!(
        error.to_string().contains("give each node a BACKUP_DIR of its own"),
        "{error}"
    );
    child.kill().unwrap();
    child.wait().unwrap();

    assert_eq!(files(scratch.path()).len(), 2, "what it wrote is there");
    let dir = open(scratch.path(), 9);
    assert_eq!(files(scratch.path()).len(), 1, "and is removed");
    assert_eq!(newest(&dir).1, items);
    write(&dir, "half", &items).unwrap();
}

#[test]
fn a_file_that_was_whole_but_not_renamed_is_no_backup() {
    let scratch = TempDir::new().unwrap();
    let whole = write(&open(scratch.path(), 9), "newer", &[Item::live("k", 2, "unseen")])
        .unwrap()
        .path;
    std::fs::rename(&whole, scratch.path().join("newer.backup.tmp")).unwrap();
    let dir = open(scratch.path(), 9);
    assert!(matches!(newest(&dir).0, Ok(None)));
    assert!(files(scratch.path()).is_empty());
}

#[test]
#[ignore = "is run by a_full_disk_leaves_older_backups_and_nothing_else, which limits how large its files may be"]
fn meets_the_limit() {
    let directory = directory();
    let dir = open(Path::new(&directory), 1);
    let items = noise(40);
    let error = write(&dir, "large", &items).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("there is no room; make some, or keep fewer backups"),
        "{error}"
    );
    assert_eq!(files(Path::new(&directory)).len(), 1, "only the older one is there");

    let mut writer = dir.begin(meta("large")).unwrap();
    let failed = items.iter().find_map(|item| writer.add(&item.borrowed()).err());
    assert!(matches!(failed, Some(Error::Io { .. })), "{failed:?}");
    assert_eq!(files(Path::new(&directory)).len(), 1, "it is removed at once");
    assert!(matches!(writer.add(&items[0].borrowed()), Err(Error::Abandoned(_))));
    assert!(matches!(writer.finish(), Err(Error::Abandoned(_))));
    assert_eq!(newest(&dir).1, [Item::live("k", 1, "kept")]);
    write(&dir, "large", &items[..1]).unwrap();
}

#[test]
fn a_full_disk_leaves_older_backups_and_nothing_else() {
    let scratch = TempDir::new().unwrap();
    write(&open(scratch.path(), 1), "kept", &[Item::live("k", 1, "kept")]).unwrap();
    // 1 MiB, in blocks of 512 bytes; the signal is ignored, so that writing answers with an error as a full disk does.
    let limit = "trap '' XFSZ; ulimit -f 2048;";
    let output = child("faults::meets_the_limit", scratch.path(), limit).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert!(
        open(scratch.path(), 1).list().unwrap()[0].id == id("large"),
        "there was room for the last one"
    );
}

#[test]
fn a_directory_that_vanishes_is_an_error() {
    let scratch = TempDir::new().unwrap();
    let path = scratch.path().join("backups");
    let dir = open(&path, 1);
    let mut writer = dir.begin(meta("one")).unwrap();
    writer.add(&Item::live("k", 1, "v").borrowed()).unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    for error in [
        writer.finish().unwrap_err(),
        dir.begin(meta("two")).unwrap_err(),
        dir.list().unwrap_err(),
    ] {
        assert!(error.to_string().contains("nobody else may remove what is in it"), "{error}");
    }
}
