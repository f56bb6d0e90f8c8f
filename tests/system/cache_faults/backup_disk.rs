//! A disk that is full when a backup is due.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use system_tests::network::Network;
use system_tests::{Api, Sandbox};

use super::{Fault, Limits};

/// Size of the disk: holds some backups of this test.
const SIZE: usize = 8 << 20;

/// A small file system of its own; gone when dropped, which is to be before the directory that it is in.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("size={SIZE}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(at)
            .status();
        assert!(mounted.is_ok_and(|status| status.success()), "mounting needs root");
        Self(at.to_owned())
    }

    /// Takes all that is free.
    fn fill(&self) {
        let filler = std::fs::write(self.0.join("filler"), vec![1; SIZE]);
        let full = filler.unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }

    /// Every other file with its size.
    fn files(&self) -> Vec<(PathBuf, u64)> {
        let entries = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap());
        let others = entries.filter(|entry| entry.file_name() != "filler");
        let mut files: Vec<_> = others.map(|entry| (entry.path(), entry.metadata().unwrap().len())).collect();
        files.sort();
        files
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A node may still have a file open on it.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_disk_fails_the_backup_and_nothing_else() {
    // Mounting needs root, as namespaces do.
    if Network::is_left_out() {
        return;
    }
    let mut stack = Sandbox::raft().workers(0).start().await;
    let disk = Disk::mount(&stack.directory().join("small"));
    let epoch = stack.epoch().await;
    stack.auxiliaries[0].stop(Duration::from_secs(30)).await;
    stack.auxiliaries[0].set("BACKUP_DIR", &disk.0.display().to_string());
    stack.auxiliaries[0].start();
    stack.settled(&[0, 1, 2], epoch, Duration::from_secs(60)).await;

    let fault = Fault::begin("disk full in BACKUP_DIR", &stack).await;
    let api = stack.api();
    let first = backup(&api).await;
    assert_eq!(first["complete"], true, "{first}");
    let older = disk.files();
    assert!(!older.is_empty());

    disk.fill();
    let failed = backup(&api).await;
    assert_eq!(failed["complete"], false, "{failed}");
    for part in failed["nodes"].as_array().unwrap() {
        let reason = part["error"].as_str();
        if part["node"] == "auxiliary-1" {
            assert!(reason.is_some_and(|reason| reason.contains("no room")), "{failed}");
        } else {
            assert_eq!(reason, None, "{failed}");
        }
    }
    assert_eq!(disk.files(), older, "older backups stay, and nothing half written does");
    api.put("/cache/meanwhile", "served").await.expect(201);

    disk.empty();
    let last = backup(&api).await;
    assert_eq!(last["complete"], true, "{last}");
    assert!(disk.files().len() > older.len(), "{:?}", disk.files());
    fault.end(&mut stack, &[0, 1, 2], Limits::NONE).await;
}

async fn backup(api: &Api) -> Value {
    api.request("POST", "/backup").send().await.expect(200).json()
}
