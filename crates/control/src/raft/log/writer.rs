//! The one thread that writes the log. What waits while a sync is under way is written together and served by the next
//! sync (group commit): with many writers, one sync serves many proposals.
//!
//! After an error of the disk nothing is known about what it holds, and a second sync may lie, so the first error is
//! final: everything that waits and all that comes later fails with it. Only a write that found no space is none: nothing of
//! it counts until it is whole, so it is cut off, and waits with all that comes after it until there is space again.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use openraft::storage::IOFlushed;
use openraft::type_config::TypeConfigExt as _;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};

use super::super::disk::{Disk, DiskFile, is_full};
use super::super::format::{Position, StoredEntry, StoredVote};
use super::super::frame;
use super::super::metrics::RaftMetrics;
use super::super::types::{Entry, TypeConfig};
use super::memory::Memory;
use super::record::{self, FORMAT, Head, Record};
use super::recover::{Segment, segment_path};

/// Entries in one frame and sync, in bytes, about.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Something to write.
pub(super) enum Job {
    /// Entries.
    Append {
        entries: Vec<Entry>,
        done: IOFlushed<TypeConfig>,
    },
    /// A fact; nobody may wait for it.
    Note {
        record: Record,
        done: Option<oneshot::Sender<io::Result<()>>>,
    },
    /// What is left to say, at the end.
    Close { done: oneshot::Sender<io::Result<()>> },
}

/// What the writer needs to begin.
pub(super) struct Setup {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) node_id: u64,
    pub(super) segment_bytes: u64,
    pub(super) metrics: RaftMetrics,
    pub(super) segments: Vec<Segment>,
    /// Good bytes of the last segment.
    pub(super) length: u64,
    pub(super) memory: Arc<Mutex<Memory>>,
    pub(super) failure: Arc<OnceLock<String>>,
    /// Tells whether the disk is full.
    pub(super) full: watch::Sender<bool>,
    /// Set when a full disk is not to be waited for any more.
    pub(super) closing: Arc<AtomicBool>,
}

/// Opens the last segment, or begins the first, and starts the thread. It ends when all senders are gone.
pub(super) fn start(setup: Setup) -> io::Result<UnboundedSender<Job>> {
    let mut segments: VecDeque<Segment> = setup.segments.into();
    let tracked = {
        let memory = setup.memory.lock();
        Tracked {
            vote: memory.vote.as_ref().map(StoredVote::from),
            committed: memory.committed.map(Position::from),
            purged: memory.purged.map(Position::from),
        }
    };
    let mut writer = Writer {
        file: match segments.back() {
            Some(segment) => Some(take_up(&*setup.disk, segment, setup.length)?),
            None => None,
        },
        length: setup.length,
        active: segments.pop_back(),
        sealed: segments,
        disk: setup.disk,
        dir: setup.dir,
        node_id: setup.node_id,
        segment_bytes: setup.segment_bytes,
        metrics: setup.metrics,
        memory: setup.memory,
        failure: setup.failure,
        full: setup.full,
        closing: setup.closing,
        waiting: VecDeque::new(),
        purge_due: false,
        tracked,
        buffer: Vec::new(),
    };
    if writer.active.is_none() {
        writer.begin_segment()?;
    }
    // Bounded by what the protocol proposes at once.
    let (sender, mut receiver) = unbounded_channel();
    if writer.disk.imagined().is_some() {
        drop(TypeConfig::spawn(writer.run_imagined(receiver)));
    } else {
        std::thread::Builder::new()
            .name("raft-log".to_owned())
            .spawn(move || writer.run(&mut receiver))?;
    }
    Ok(sender)
}

/// Opens the last segment again. What a process that was killed had written there was read, and counts from now on.
fn take_up(disk: &dyn Disk, segment: &Segment, length: u64) -> io::Result<Box<dyn DiskFile>> {
    let mut file = disk.reopen(&segment.path, length)?;
    file.sync()?;
    Ok(file)
}

pub(super) struct Writer {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    node_id: u64,
    segment_bytes: u64,
    metrics: RaftMetrics,
    memory: Arc<Mutex<Memory>>,
    failure: Arc<OnceLock<String>>,
    pub(super) full: watch::Sender<bool>,
    pub(super) closing: Arc<AtomicBool>,
    /// Came in while the disk was full.
    pub(super) waiting: VecDeque<Job>,
    /// Segments may have become superfluous.
    purge_due: bool,
    /// Full segments, oldest first.
    sealed: VecDeque<Segment>,
    /// The segment being written, and its file.
    active: Option<Segment>,
    file: Option<Box<dyn DiskFile>>,
    length: u64,
    /// What the files say at their end, for the next segment's head.
    tracked: Tracked,
    pub(super) buffer: Vec<u8>,
}

#[derive(Clone, PartialEq)]
struct Tracked {
    vote: Option<StoredVote>,
    committed: Option<Position>,
    purged: Option<Position>,
}

impl Writer {
    fn run(mut self, jobs: &mut UnboundedReceiver<Job>) {
        while let Some(first) = self.waiting.pop_front().or_else(|| jobs.blocking_recv()) {
            let mut bytes = weight(&first);
            let mut batch = vec![first];
            while bytes < BATCH_BYTES
                && let Some(job) = self.waiting.pop_front().or_else(|| jobs.try_recv().ok())
            {
                bytes += weight(&job);
                batch.push(job);
            }
            let result = loop {
                match self.write(&batch) {
                    Err(error) if is_full(&error) => {
                        if let Err(error) = self.wait_for_space(jobs, &error) {
                            break Err(error);
                        }
                    }
                    result => break result,
                }
            };
            self.settle(batch, &result);
        }
    }

    /// The same on a disk that is only imagined, whose syncs take their time on the runtime's clock.
    async fn run_imagined(mut self, mut jobs: UnboundedReceiver<Job>) {
        loop {
            let first = match self.waiting.pop_front() {
                Some(job) => job,
                None => match jobs.recv().await {
                    Some(job) => job,
                    None => return,
                },
            };
            let mut batch = vec![first];
            while let Some(job) = self.waiting.pop_front().or_else(|| jobs.try_recv().ok()) {
                batch.push(job);
            }
            let result = loop {
                match self.append(&batch) {
                    Ok(entries) => {
                        tokio::time::sleep(self.disk.imagined().unwrap_or_default()).await;
                        break self.sync(entries);
                    }
                    Err(error) if is_full(&error) => {
                        if let Err(error) = self.wait_for_imagined_space(&mut jobs, &error).await {
                            break Err(error);
                        }
                    }
                    Err(error) => break Err(error),
                }
            };
            self.settle(batch, &result);
        }
    }

    /// Tells everybody what came of a batch; the first failure is final.
    fn settle(&self, batch: Vec<Job>, result: &io::Result<()>) {
        if let Err(error) = result {
            let message = format!("{}: {error}", self.dir.display());
            if self.failure.set(message).is_ok() {
                tracing::error!(dir = %self.dir.display(), %error, "the raft log cannot be written; the control store stops");
            }
        }
        batch.into_iter().for_each(|job| answer(job, result));
    }

    fn write(&mut self, batch: &[Job]) -> io::Result<()> {
        let entries = self.append(batch)?;
        self.sync(entries)
    }

    /// Writes a batch, and returns how many entries it holds. It does not count before it is synced.
    fn append(&mut self, batch: &[Job]) -> io::Result<usize> {
        if let Some(failure) = self.failure.get() {
            return Err(io::Error::other(failure.clone()));
        }
        if self.length >= self.segment_bytes {
            self.begin_segment()?;
        }
        let entries = self.encode(batch)?;
        let Some(file) = &mut self.file else {
            return Err(io::Error::other("the log has no open segment"));
        };
        if let Err(error) = file.append(&self.buffer) {
            self.cut_off()?;
            return Err(error);
        }
        Ok(entries)
    }

    /// Makes durable what was appended last.
    fn sync(&mut self, entries: usize) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Err(io::Error::other("the log has no open segment"));
        };
        let begun = Instant::now();
        file.sync().map_err(final_error)?;
        self.metrics.synced(begun.elapsed(), entries);
        self.length += self.buffer.len() as u64;
        if std::mem::take(&mut self.purge_due) {
            self.remove_purged()?;
        }
        Ok(())
    }

    /// Removes what was written of a frame that did not fit.
    fn cut_off(&mut self) -> io::Result<()> {
        let Some(segment) = &self.active else { return Ok(()) };
        self.file = None;
        self.file = Some(self.disk.reopen(&segment.path, self.length).map_err(final_error)?);
        Ok(())
    }

    /// Encodes a batch as one frame and returns how many entries it holds.
    fn encode(&mut self, batch: &[Job]) -> io::Result<usize> {
        let committed = self.memory.lock().committed.map(Position::from);
        let (tracked, active) = (&mut self.tracked, &mut self.active);
        let mut entries_written = 0;
        self.buffer.clear();
        frame::write(
            &mut self.buffer,
            active.as_ref().map_or(0, |segment| segment.number),
            self.length,
            |payload| {
                for job in batch {
                    match job {
                        Job::Append { entries, .. } => {
                            entries_written += entries.len();
                            for entry in entries {
                                record::encode(&Record::Entry(StoredEntry::from(entry)), payload)?;
                            }
                            let last = entries.last().map(|entry| entry.log_id.index);
                            if let Some(segment) = active {
                                segment.last_index = segment.last_index.max(last);
                            }
                        }
                        Job::Note { record, .. } => {
                            self.purge_due |= matches!(record, Record::PurgedUpTo(_));
                            tracked.note(record);
                            record::encode(record, payload)?;
                        }
                        Job::Close { .. } => {}
                    }
                }
                // Which entries are committed needs no sync of its own: it rides with the next one.
                if let Some(position) = committed.filter(|_| committed != tracked.committed) {
                    tracked.committed = committed;
                    record::encode(&Record::Committed(position), payload)?;
                }
                Ok::<_, postcard::Error>(())
            },
        )
        .map_err(io::Error::other)?;
        Ok(entries_written)
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let number = self.active.as_ref().map_or(1, |segment| segment.number + 1);
        let path = segment_path(&self.dir, number);
        let head = Record::Head(Head {
            format: FORMAT,
            node_id: self.node_id,
            vote: self.tracked.vote,
            committed: self.tracked.committed,
            purged: self.tracked.purged,
        });
        self.buffer.clear();
        frame::write(&mut self.buffer, number, 0, |payload| record::encode(&head, payload)).map_err(io::Error::other)?;
        let mut file = self.disk.create(&path)?;
        file.append(&self.buffer)?;
        file.sync().map_err(final_error)?;
        self.disk.sync_dir(&self.dir)?;
        self.length = self.buffer.len() as u64;
        self.file = Some(file);
        self.sealed.extend(self.active.replace(Segment {
            number,
            path,
            last_index: None,
        }));
        self.remove_purged()
    }

    /// Removes full segments, oldest first, that hold nothing but purged entries. That they are purged is durable by now.
    fn remove_purged(&mut self) -> io::Result<()> {
        let purged = self.tracked.purged.map(|position| position.index);
        while let Some(segment) = self.sealed.front()
            && segment.last_index <= purged
        {
            self.disk.remove(&segment.path)?;
            // One at a time, or a crash could leave a gap.
            self.disk.sync_dir(&self.dir)?;
            self.sealed.pop_front();
        }
        Ok(())
    }
}

impl Tracked {
    fn note(&mut self, record: &Record) {
        match record {
            Record::Vote(vote) => self.vote = Some(*vote),
            Record::PurgedUpTo(position) => self.purged = self.purged.max(Some(*position)),
            Record::Committed(position) => self.committed = Some(*position),
            Record::Head(_) | Record::Entry(_) | Record::TruncatedAfter(_) => {}
        }
    }
}

/// An error after which nothing is known, whatever the system calls it.
fn final_error(error: io::Error) -> io::Error {
    io::Error::other(error)
}

fn weight(job: &Job) -> usize {
    match job {
        Job::Append { entries, .. } => entries.iter().map(entry_bytes).sum(),
        Job::Note { .. } | Job::Close { .. } => 64,
    }
}

/// Bytes an entry takes, about.
pub(super) fn entry_bytes(entry: &Entry) -> usize {
    const OVERHEAD: usize = 64;
    match &entry.payload {
        openraft::EntryPayload::Normal(command) => OVERHEAD + command.bytes(),
        openraft::EntryPayload::Blank | openraft::EntryPayload::Membership(_) => OVERHEAD,
    }
}

fn answer(job: Job, result: &io::Result<()>) {
    let copy = || match result {
        Ok(()) => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    };
    match job {
        Job::Append { done, .. } => done.io_completed(copy()),
        Job::Note { done: Some(done), .. } | Job::Close { done } => {
            // Whoever waited may have given up.
            let _ = done.send(copy());
        }
        Job::Note { done: None, .. } => {}
    }
}
