//! Any bytes as the log's files, for [`crate::fuzzing`].

use std::path::{Path, PathBuf};

use super::super::disk::Disk;
use super::{record, recover};

/// Whose log it is.
const NODE: u64 = 1;

pub(in super::super) fn first_segment(dir: &Path) -> PathBuf {
    recover::segment_path(dir, 1)
}

/// What is read as records is written as records that read the same.
pub(in super::super) fn records(payload: &[u8]) {
    let Ok(records) = record::decode(payload) else { return };
    let mut again = Vec::new();
    for record in &records {
        record::encode(record, &mut again).unwrap_or_else(|error| panic!("{error}"));
    }
    assert_eq!(record::decode(&again).ok(), Some(records));
}

/// What is recovered is recovered again, since what was cut off once is not looked at twice.
pub(in super::super) fn recover(disk: &dyn Disk) {
    let Ok(recovered) = recover::recover(disk, Path::new("log"), NODE) else {
        return;
    };
    let (first, last) = (recovered.memory.first_index(), recovered.memory.last());
    assert!(first <= last.map(|last| last.index), "{first:?} {last:?}");
    assert_eq!(
        recovered.memory.range(..).len() as u64,
        match (first, last) {
            (Some(first), Some(last)) => last.index - first + 1,
            _ => 0,
        }
    );
}
