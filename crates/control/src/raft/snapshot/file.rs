//! A snapshot's file: a head, the parts of the state's image, an end that counts them.

use std::fmt::Debug;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::disk::{Disk, DiskFile};
use super::super::format::{PlacedMembers, Position};
use super::super::frame::{self, HEADER_BYTES};
use super::super::types::{LogId, SnapshotMeta};
use crate::state::{HistoryLimits, Image, ImagePart, State};

/// Version of the format.
const FORMAT: u32 = 2;

/// A frame that is longer is not one of ours: parts are cut at a fraction of it, single values are smaller.
const MAX_FRAME_BYTES: usize = 64 * 1024 * 1024;

/// A snapshot on disk. It stays readable until two newer ones are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SnapshotFile {
    pub(crate) path: PathBuf,
}

impl SnapshotFile {
    /// Whether it came in from a peer and has not been taken over.
    pub(crate) fn is_received(&self) -> bool {
        self.path.to_string_lossy().ends_with(super::store::RECEIVED)
    }
}

/// What a snapshot covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotHead {
    format: u32,
    last: Option<Position>,
    members: PlacedMembers,
}

#[derive(Debug, Serialize, Deserialize)]
enum Record {
    Head(SnapshotHead),
    Part(ImagePart),
    End { parts: u64 },
}

impl SnapshotHead {
    pub(crate) fn new(meta: &SnapshotMeta) -> Self {
        Self {
            format: FORMAT,
            last: meta.last_log_id.map(Position::from),
            members: PlacedMembers::from(&meta.last_membership),
        }
    }

    pub(crate) fn meta(&self) -> Result<SnapshotMeta, String> {
        Ok(SnapshotMeta {
            last_log_id: self.last.map(LogId::from),
            last_membership: self.members.clone().try_into()?,
        })
    }
}

/// Writes a snapshot and makes it durable.
pub(super) fn write(disk: &dyn Disk, path: &Path, head: SnapshotHead, image: &Image) -> io::Result<()> {
    write_to(disk.create(path)?, head, image)
}

/// Writes a snapshot to whatever takes it.
pub(super) fn write_to(file: Box<dyn DiskFile>, head: SnapshotHead, image: &Image) -> io::Result<()> {
    let mut output = Output {
        file,
        offset: 0,
        buffer: Vec::new(),
    };
    output.put(&Record::Head(head))?;
    let mut parts = 0;
    for part in image.parts() {
        output.put(&Record::Part(part))?;
        parts += 1;
    }
    output.put(&Record::End { parts })?;
    output.file.sync()
}

/// Reads a snapshot into a state; the message of an error says what is wrong and where.
pub(super) fn read(disk: &dyn Disk, path: &Path, limits: HistoryLimits) -> Result<(SnapshotHead, State), String> {
    let reader = disk.read(path).map_err(|error| error.to_string())?;
    let mut input = Input { reader, offset: 0 };
    let Record::Head(head) = input.next()? else {
        return Err("it does not begin with a head".to_owned());
    };
    if head.format != FORMAT {
        return Err(format!("format {} is not known to this version", head.format));
    }
    let mut state = State::new(limits);
    let mut parts = 0;
    loop {
        match input.next()? {
            Record::Part(part) => {
                if let Some(reason) = part.impossible() {
                    return Err(reason);
                }
                state.absorb(part);
                parts += 1;
            }
            Record::End { parts: expected } if expected == parts => return Ok((head, state)),
            Record::End { parts: expected } => return Err(format!("{parts} parts of {expected} are there")),
            Record::Head(_) => return Err("it has two heads".to_owned()),
        }
    }
}

/// Whether a snapshot is whole; the message of an error says what is wrong and where. Memory is a part of it at a time.
pub(super) fn verify(disk: &dyn Disk, path: &Path) -> Result<(), String> {
    let reader = disk.read(path).map_err(|error| error.to_string())?;
    let mut input = Input { reader, offset: 0 };
    let Record::Head(_) = input.next()? else {
        return Err("it does not begin with a head".to_owned());
    };
    let mut parts = 0;
    loop {
        match input.next()? {
            Record::Part(_) => parts += 1,
            Record::End { parts: expected } if expected == parts => return Ok(()),
            Record::End { parts: expected } => return Err(format!("{parts} parts of {expected} are there")),
            Record::Head(_) => return Err("it has two heads".to_owned()),
        }
    }
}

struct Output {
    file: Box<dyn DiskFile>,
    offset: u64,
    buffer: Vec<u8>,
}

impl Output {
    fn put(&mut self, record: &Record) -> io::Result<()> {
        self.buffer.clear();
        frame::write(&mut self.buffer, 0, self.offset, |payload| {
            postcard::to_io(record, payload).map(|_| ())
        })
        .map_err(io::Error::other)?;
        self.file.append(&self.buffer)?;
        self.offset += self.buffer.len() as u64;
        Ok(())
    }
}

struct Input {
    reader: Box<dyn Read + Send>,
    offset: u64,
}

impl Input {
    fn next(&mut self) -> Result<Record, String> {
        let mut header = [0; HEADER_BYTES];
        self.fill(&mut header)?;
        let length = frame::payload_length(&header, 0, self.offset).filter(|length| *length <= MAX_FRAME_BYTES);
        let length = length.ok_or_else(|| self.at("a header's checksum does not match"))?;
        let mut payload = vec![0; length];
        self.fill(&mut payload)?;
        if !frame::payload_matches(&header, &payload) {
            return Err(self.at("a checksum does not match"));
        }
        let record = postcard::from_bytes(&payload).map_err(|error| self.at(&format!("a record cannot be read ({error})")))?;
        self.offset += (HEADER_BYTES + length) as u64;
        Ok(record)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), String> {
        self.reader.read_exact(buffer).map_err(|error| self.at(&error.to_string()))
    }

    fn at(&self, reason: &str) -> String {
        format!("at offset {}: {reason}", self.offset)
    }
}
