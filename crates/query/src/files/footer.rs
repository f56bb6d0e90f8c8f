//! Whether a Parquet file can have the footer it says it has.
//!
//! The reader subtracts the footer's length from the file's before it looks at either, and panics on a file that was cut off or
//! is something else: a user's mistake would look like a broken worker.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"PAR1";
/// Length and magic, at the very end.
const TAIL_BYTES: u64 = 8;

/// Why a file is not whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0} is no Parquet file: it does not end as one")]
    Foreign(String),
    #[error("{0} is damaged: its footer would be longer than the file")]
    Damaged(String),
    #[error("{0} cannot be read: {1}")]
    Unreadable(String, io::Error),
}

/// Looks at the end of each file that is not empty.
pub(super) fn check(files: &[PathBuf]) -> Result<(), Error> {
    files.iter().try_for_each(|path| check_one(path))
}

fn check_one(path: &Path) -> Result<(), Error> {
    let name = || path.display().to_string();
    let tail = read_tail(path).map_err(|error| Error::Unreadable(name(), error))?;
    match tail {
        Tail::Empty => Ok(()),
        Tail::Short => Err(Error::Foreign(name())),
        Tail::Bytes { before, bytes } => {
            let (length, magic) = bytes.split_at(MAGIC.len());
            if magic != MAGIC {
                return Err(Error::Foreign(name()));
            }
            let length = length.iter().rev().fold(0, |length, byte| length << 8 | u64::from(*byte));
            // The file begins with the magic too.
            let fits = length.checked_add(MAGIC.len() as u64).is_some_and(|needed| needed <= before);
            if fits { Ok(()) } else { Err(Error::Damaged(name())) }
        }
    }
}

enum Tail {
    Empty,
    Short,
    Bytes { before: u64, bytes: [u8; TAIL_BYTES as usize] },
}

fn read_tail(path: &Path) -> io::Result<Tail> {
    let mut file = File::open(path)?;
    let Some(before) = file.metadata()?.len().checked_sub(TAIL_BYTES) else {
        return Ok(if file.metadata()?.len() == 0 {
            Tail::Empty
        } else {
            Tail::Short
        });
    };
    let mut bytes = [0; TAIL_BYTES as usize];
    file.seek(SeekFrom::Start(before))?;
    file.read_exact(&mut bytes)?;
    Ok(Tail::Bytes { before, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(content: &[u8]) -> Result<(), Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.parquet");
        std::fs::write(&path, content).unwrap();
        check(&[path])
    }

    #[test]
    fn only_files_with_room_for_their_footer_pass() {
        checked(b"").unwrap();
        checked(b"PAR1footer\x06\0\0\0PAR1").unwrap();
        for foreign in [&b"PAR1"[..], b"a,b\n1,2\n3,4\n", b"PAR1footer\x06\0\0\0PAR"] {
            assert!(matches!(checked(foreign), Err(Error::Foreign(_))), "{foreign:?}");
        }
        for damaged in [
            &b"PAR1foote\x06\0\0\0PAR1"[..],
            b"PAR1 not really PAR1",
            b"\xff\xff\xff\xffPAR1",
        ] {
            assert!(matches!(checked(damaged), Err(Error::Damaged(_))), "{damaged:?}");
        }
    }
}
