//! Bits that flip in the files between two stages.

use std::path::{Path, PathBuf};

use system_tests::Sandbox;

use super::work::{in_reduce, orders, right, slow_reduce, slow_reduce_answer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_shuffle_files_are_made_again_and_never_read_as_rows() {
    let mut stack = Sandbox::raft().auxiliaries(1).start().await;
    let (api, orders) = (stack.api(), orders(&stack));
    let id = api.submit(&slow_reduce(&orders)).await;
    in_reduce(&api, &id).await;
    let mut files = Vec::new();
    for worker in &stack.workers {
        outputs(&stack.directory().join(worker.name()).join("work"), &mut files);
    }
    let mut damaged = 0;
    for file in files {
        // A task may be reading it, or its job may have no more use for it.
        let Ok(mut bytes) = std::fs::read(&file) else { continue };
        if let Some(byte) = bytes
            .len()
            .checked_sub(1)
            .map(|last| last * 2 / 3)
            .and_then(|at| bytes.get_mut(at))
        {
            *byte ^= 0x10;
            damaged += usize::from(std::fs::write(&file, bytes).is_ok());
        }
    }
    assert!(damaged > 0, "there is something to damage");
    right(&api, &id, &slow_reduce_answer(&orders)).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}

/// Finished outputs of tasks below a directory.
fn outputs(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() && path.extension().is_none_or(|extension| extension != "tmp") {
            outputs(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "arrow") {
            found.push(path);
        }
    }
}
