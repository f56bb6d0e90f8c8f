//! Reading the log's files at start.
//!
//! A crash can leave one frame unfinished, at the very end of the last segment, because the next is written only after
//! the one before is durable. Such a frame was never acknowledged and is cut off. Anything else that does not read is
//! damage to what was acknowledged, and a refusal to start.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::super::advice::ADVICE;
use super::super::disk::Disk;
use super::super::frame::{self, Frame};
use super::super::types::Entry;
use super::memory::Memory;
use super::record::{self, FORMAT, Record};
use crate::error::Error;

/// A segment's head is shorter; what is longer has been written to.
const HEAD_BYTES: usize = 256;

/// A log file.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// Its place in the order, which is also its name.
    pub(super) number: u64,
    /// Where it is.
    pub(super) path: PathBuf,
    /// The highest index of an entry in it.
    pub(super) last_index: Option<u64>,
}

/// What the files hold.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) memory: Memory,
    /// All segments, in order.
    pub(super) segments: Vec<Segment>,
    /// Good bytes of the last segment; 0 when there is none.
    pub(super) length: u64,
}

/// Path of a segment.
pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.log"))
}

/// Reads all segments of a directory.
pub(super) fn recover(disk: &dyn Disk, dir: &Path, node_id: u64) -> Result<Recovered, Error> {
    let mut numbers = segment_numbers(disk, dir)?;
    let mut reader = Reader {
        dir,
        node_id,
        memory: Memory::default(),
        segments: Vec::new(),
    };
    let mut length = 0;
    if let Some(gap) = numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
        return Err(reader.damaged(&segment_path(dir, gap[0] + 1), 0, "the file is missing"));
    }
    while !numbers.is_empty() {
        let number = numbers.remove(0);
        length = reader.segment(disk, number, numbers.is_empty())?;
    }
    // A crash while a segment was begun: nothing in it was ever acknowledged.
    if length == 0
        && let Some(begun) = reader.segments.pop()
    {
        if reader.segments.is_empty() && begun.number != 1 {
            return Err(reader.damaged(&begun.path, 0, "the head of the only segment cannot be read"));
        }
        disk.remove(&begun.path)
            .map_err(|error| reader.unreadable(&begun.path, &error))?;
        if let Some(previous) = reader.segments.last() {
            length = whole_length(disk, &previous.path).map_err(|error| reader.unreadable(&previous.path, &error))?;
        }
    }
    reader.check_hole()?;
    Ok(Recovered {
        memory: reader.memory,
        segments: reader.segments,
        length,
    })
}

fn segment_numbers(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, Error> {
    let names = disk
        .names(dir)
        .map_err(|error| Error::Unavailable(format!("{} cannot be read: {error}", dir.display())))?;
    let mut numbers: Vec<u64> = names
        .iter()
        .filter_map(|name| name.strip_suffix(".log")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn whole_length(disk: &dyn Disk, path: &Path) -> std::io::Result<u64> {
    let mut bytes = Vec::new();
    disk.read(path)?.read_to_end(&mut bytes)?;
    Ok(bytes.len() as u64)
}

struct Reader<'a> {
    dir: &'a Path,
    node_id: u64,
    memory: Memory,
    segments: Vec<Segment>,
}

impl Reader<'_> {
    /// Replays a segment and returns how many of its bytes are good.
    fn segment(&mut self, disk: &dyn Disk, number: u64, last: bool) -> Result<u64, Error> {
        let path = segment_path(self.dir, number);
        let mut bytes = Vec::new();
        let read = disk.read(&path).and_then(|mut file| file.read_to_end(&mut bytes));
        read.map_err(|error| self.unreadable(&path, &error))?;

        let mut segment = Segment {
            number,
            path,
            last_index: None,
        };
        let mut offset = 0;
        loop {
            match frame::read(&bytes, number, offset) {
                Frame::Whole { payload, next } => {
                    self.replay(&mut segment, offset, payload)?;
                    offset = next;
                }
                Frame::End if offset > 0 || last => break,
                Frame::End => return Err(self.damaged(&segment.path, 0, "the file is empty")),
                Frame::Broken { reason, reaches_end } => {
                    let unfinished = reaches_end || nothing_follows(&bytes, number, offset);
                    let begun = offset > 0 || bytes.len() <= HEAD_BYTES;
                    if !(last && unfinished && begun) {
                        return Err(self.damaged(&segment.path, offset, reason));
                    }
                    tracing::warn!(
                        file = %segment.path.display(), offset, dropped = bytes.len() - offset,
                        "cutting off an unfinished write at the end of the raft log"
                    );
                    break;
                }
            }
        }
        self.segments.push(segment);
        Ok(offset as u64)
    }

    fn replay(&mut self, segment: &mut Segment, offset: usize, payload: &[u8]) -> Result<(), Error> {
        let records = record::decode(payload)
            .map_err(|error| self.damaged(&segment.path, offset, &format!("a record cannot be read ({error})")))?;
        for record in records {
            self.apply(segment, record).map_err(|problem| match problem {
                Problem::Damage(reason) => self.damaged(&segment.path, offset, &reason),
                Problem::Foreign(reason) => Error::Invalid(reason),
            })?;
        }
        Ok(())
    }

    fn apply(&mut self, segment: &mut Segment, record: Record) -> Result<(), Problem> {
        let memory = &mut self.memory;
        match record {
            Record::Head(head) => {
                if head.format != FORMAT {
                    let reason = format!(
                        "{} has format {}, which this version does not know",
                        segment.path.display(),
                        head.format
                    );
                    return Err(Problem::Foreign(reason));
                }
                if head.node_id != self.node_id {
                    let (dir, found, wanted) = (self.dir.display(), head.node_id, self.node_id);
                    return Err(Problem::Foreign(format!(
                        "{dir} belongs to raft node {found}, this is node {wanted}"
                    )));
                }
                memory.vote = head.vote.map(Into::into).or(memory.vote);
                memory.committed = head.committed.map(Into::into).or(memory.committed);
                if let Some(purged) = head.purged {
                    memory.purge(purged.into());
                }
            }
            Record::Entry(entry) => {
                let entry = Entry::try_from(entry).map_err(Problem::Damage)?;
                segment.last_index = segment.last_index.max(Some(entry.log_id.index));
                memory.append(entry).map_err(Problem::Damage)?;
            }
            Record::Vote(vote) => memory.vote = Some(vote.into()),
            Record::Committed(position) => memory.committed = Some(position.into()),
            Record::TruncatedAfter(position) => memory.truncate_after(position.map(|position| position.index)),
            Record::PurgedUpTo(position) => memory.purge(position.into()),
        }
        Ok(())
    }

    /// Entries must go on where the purged ones end.
    fn check_hole(&self) -> Result<(), Error> {
        let (Some(first), Some(purged)) = (self.memory.first_index(), self.memory.purged) else {
            return Ok(());
        };
        let expected = purged.index.saturating_add(1);
        if first > expected {
            let path = self.segments.first().map_or(self.dir, |segment| &segment.path);
            return Err(self.damaged(path, 0, &format!("entries {expected} to {} are missing", first - 1)));
        }
        Ok(())
    }

    fn damaged(&self, path: &Path, offset: usize, reason: &str) -> Error {
        Error::Damaged(format!("{} at offset {offset}: {reason}. {ADVICE}", path.display()))
    }

    fn unreadable(&self, path: &Path, error: &std::io::Error) -> Error {
        Error::Damaged(format!("{} cannot be read: {error}", path.display()))
    }
}

enum Problem {
    Damage(String),
    Foreign(String),
}

/// Whether no frame stands anywhere after a broken one.
fn nothing_follows(bytes: &[u8], number: u64, broken: usize) -> bool {
    (broken + 1..bytes.len()).all(|offset| {
        let header = &bytes[offset..];
        frame::payload_length(header, number, offset as u64).is_none()
            || !matches!(frame::read(bytes, number, offset), Frame::Whole { .. })
    })
}
