//! Any bytes as a snapshot's file, for [`crate::fuzzing`].

use std::path::Path;

use super::super::disk::Disk;
use super::file;
use crate::state::HistoryLimits;

const LIMITS: HistoryLimits = HistoryLimits {
    revisions: 1000,
    bytes: 1 << 20,
};

/// What is read is a state that can be written, and what is no state is found out without one being made.
pub(in super::super) fn read(disk: &dyn Disk, path: &Path) {
    let whole = file::verify(disk, path);
    if let Ok((head, state)) = file::read(disk, path, LIMITS) {
        assert_eq!(whole, Ok(()), "it is read and not whole");
        drop(head.meta());
        assert!(state.image().parts().count() > 0);
    }
}
