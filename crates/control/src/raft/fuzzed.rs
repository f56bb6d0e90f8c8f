//! Any bytes as the files and messages of this engine, for [`crate::fuzzing`].

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};

use super::disk::{Disk, DiskFile};
use super::frame;
use super::network::{Call, decode_answer, decode_request};
use super::types::TypeConfig;
use super::{log, snapshot};

/// A disk of a few files in memory, which cannot be written to but by cutting.
#[derive(Debug, Default)]
struct Files(Mutex<BTreeMap<PathBuf, Vec<u8>>>);

impl Files {
    fn with(path: &Path, bytes: Vec<u8>) -> Self {
        Self(Mutex::new(BTreeMap::from([(path.to_owned(), bytes)])))
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Vec<u8>>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for Files {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn names(&self, _dir: &Path) -> io::Result<Vec<String>> {
        let names = self
            .locked()
            .keys()
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect();
        Ok(names)
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        let bytes = self.locked().get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(bytes)))
    }

    fn create(&self, _path: &Path) -> io::Result<Box<dyn DiskFile>> {
        refused()
    }

    fn reopen(&self, _path: &Path, _length: u64) -> io::Result<Box<dyn DiskFile>> {
        refused()
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        refused()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.locked().remove(path);
        Ok(())
    }
}

/// A file of frames whose checksums match: the first byte of each payload is its length.
fn framed(mut bytes: &[u8], number: u64) -> Vec<u8> {
    let mut file = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (payload, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        let fill = |out: &mut Vec<u8>| {
            out.extend_from_slice(payload);
            Ok::<_, ()>(())
        };
        if frame::write(&mut file, number, 0, fill).is_err() {
            return file;
        }
        bytes = rest;
    }
    file
}

pub(crate) fn log(bytes: &[u8]) {
    log::fuzzed::records(bytes);
    for file in [bytes.to_vec(), framed(bytes, 1)] {
        let path = log::fuzzed::first_segment(Path::new("log"));
        log::fuzzed::recover(&Files::with(&path, file));
    }
}

pub(crate) fn snapshot(bytes: &[u8]) {
    let path = Path::new("snapshots/1");
    for file in [bytes.to_vec(), framed(bytes, 0)] {
        snapshot::fuzzed::read(&Files::with(path, file), path);
    }
}

pub(crate) fn message(bytes: &[u8]) {
    if let Ok(request) = decode_request(bytes) {
        let again = request.encode().unwrap_or_else(|error| panic!("{error}"));
        assert!(decode_request(&again).is_ok(), "what was read cannot be written");
        match request.call {
            Call::Append(append) => drop(AppendEntriesRequest::<TypeConfig>::try_from(append)),
            Call::Vote(ballot) | Call::PreVote(ballot) => drop(VoteRequest::<TypeConfig>::from(ballot)),
            Call::Transfer(transfer) => drop(TransferLeaderRequest::<TypeConfig>::from(transfer)),
            Call::Snapshot(offer) => drop(offer.head.meta()),
            Call::Hello(_) | Call::ReadIndex | Call::Store { .. } | Call::Members { .. } => {}
        }
    }
    if let Ok(answer) = decode_answer(bytes) {
        let again = answer.encode().unwrap_or_else(|error| panic!("{error}"));
        assert!(decode_answer(&again).is_ok(), "what was read cannot be written");
    }
}
