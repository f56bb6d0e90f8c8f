//! The durable log: segments of checksummed frames on disk, written by one thread, mirrored in memory.

#[cfg(feature = "fuzzing")]
pub(super) mod fuzzed;
mod memory;
mod record;
mod recover;
mod space;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{oneshot, watch};

use super::disk::Disk;
use super::format::{Position, StoredVote};
use super::metrics::RaftMetrics;
use super::types::{Entry, LogId, TypeConfig, Vote};
use crate::error::Error;
use memory::Memory;
use record::Record;
use writer::{Job, Setup};

/// How to open a log.
#[derive(Debug)]
pub(crate) struct LogOptions {
    /// Where its files are; the directory exists.
    pub(crate) dir: PathBuf,
    /// Whose it is.
    pub(crate) node_id: u64,
    /// Length at which a new segment is begun.
    pub(crate) segment_bytes: u64,
    /// Where syncs are counted.
    pub(crate) metrics: RaftMetrics,
}

/// The log, as openraft uses it.
#[derive(Debug, Clone)]
pub(crate) struct LogStore {
    memory: Arc<Mutex<Memory>>,
    jobs: UnboundedSender<Job>,
    failure: Arc<OnceLock<String>>,
    full: watch::Receiver<bool>,
    closing: Arc<AtomicBool>,
    appended_bytes: Arc<AtomicU64>,
    was_missing: bool,
}

/// Reads the log; does not keep its writer alive.
#[derive(Debug, Clone)]
pub(crate) struct LogReader {
    memory: Arc<Mutex<Memory>>,
}

impl LogStore {
    /// Reads what is there and makes ready to write.
    pub(crate) fn open(disk: Arc<dyn Disk>, options: LogOptions) -> Result<Self, Error> {
        let LogOptions {
            dir,
            node_id,
            segment_bytes,
            metrics,
        } = options;
        let recovered = recover::recover(&*disk, &dir, node_id)?;
        let was_missing = recovered.segments.is_empty();
        let (full_sender, full) = watch::channel(false);
        let closing = Arc::new(AtomicBool::new(false));
        let memory = Arc::new(Mutex::new(recovered.memory));
        let failure = Arc::new(OnceLock::new());
        let (segments, length) = (recovered.segments, recovered.length);
        let shown = dir.display().to_string();
        let (memory_, failure_) = (Arc::clone(&memory), Arc::clone(&failure));
        let setup = Setup {
            disk,
            dir,
            node_id,
            segment_bytes,
            metrics,
            segments,
            length,
            memory: memory_,
            failure: failure_,
            full: full_sender,
            closing: Arc::clone(&closing),
        };
        let jobs = writer::start(setup).map_err(|error| Error::Unavailable(format!("{shown} cannot be written: {error}")))?;
        Ok(Self {
            memory,
            jobs,
            failure,
            full,
            closing,
            appended_bytes: Arc::default(),
            was_missing,
        })
    }

    /// The last purged entry: a snapshot must cover it.
    pub(crate) fn purged(&self) -> Option<LogId> {
        self.memory.lock().purged
    }

    /// Whether nothing was ever written to it.
    pub(crate) fn is_new(&self) -> bool {
        let memory = self.memory.lock();
        memory.vote.is_none() && memory.last().is_none()
    }

    /// Whether there was no file of it.
    pub(crate) const fn was_missing(&self) -> bool {
        self.was_missing
    }

    /// Whether the disk is full: what is to be written waits for space.
    pub(crate) fn is_full(&self) -> bool {
        *self.full.borrow()
    }

    /// Returns when the disk is full.
    pub(crate) async fn fills_up(&self) {
        if self.full.clone().wait_for(|full| *full).await.is_err() {
            std::future::pending().await
        }
    }

    /// Bytes of the entries appended since it was opened, about.
    pub(crate) fn appended_bytes(&self) -> u64 {
        self.appended_bytes.load(Ordering::Relaxed)
    }

    /// The last entry to drop so that those in memory have so many bytes at most; none when they have.
    pub(crate) fn beyond(&self, limit: u64) -> Option<u64> {
        self.memory.lock().beyond(usize::try_from(limit).unwrap_or(usize::MAX))
    }

    /// What made the log stop, if something did.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Does not wait for a full disk any more: the engine stops.
    pub(crate) fn give_up_waiting(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Makes durable what rides with later writes, since none will come.
    pub(crate) async fn close(&self) -> io::Result<()> {
        let (done, closed) = oneshot::channel();
        self.submit(Job::Close { done })?;
        closed.await.map_err(|_| gone())?
    }

    fn submit(&self, job: Job) -> io::Result<()> {
        self.jobs.send(job).map_err(|_| gone())
    }

    async fn note_durably(&self, record: Record) -> io::Result<()> {
        let (done, noted) = oneshot::channel();
        self.submit(Job::Note {
            record,
            done: Some(done),
        })?;
        noted.await.map_err(|_| gone())?
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that writes the raft log is gone")
}

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<R>(&mut self, range: R) -> io::Result<Vec<Entry>>
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        Ok(self.memory.lock().range(range))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        /// What one message to a peer carries, about.
        const MESSAGE_BYTES: usize = 4 * 1024 * 1024;
        let mut bytes = 0;
        let mut entries = self.memory.lock().range(start..end);
        let fits = entries.iter().take_while(|entry| {
            let first = bytes == 0;
            bytes += writer::entry_bytes(entry);
            first || bytes <= MESSAGE_BYTES
        });
        let count = fits.count();
        entries.truncate(count);
        Ok(entries)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.memory.lock().vote)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let memory = self.memory.lock();
        Ok(LogState {
            last_purged_log_id: memory.purged,
            last_log_id: memory.last(),
        })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        LogReader {
            memory: Arc::clone(&self.memory),
        }
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.note_durably(Record::Vote(StoredVote::from(vote))).await?;
        self.memory.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.memory.lock().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.memory.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        {
            let mut memory = self.memory.lock();
            for entry in &entries {
                memory.append(entry.clone()).map_err(io::Error::other)?;
            }
        }
        let bytes: usize = entries.iter().map(writer::entry_bytes).sum();
        self.appended_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.submit(Job::Append { entries, done: callback })
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        self.memory.lock().truncate_after(last.map(|last| last.index));
        self.note_durably(Record::TruncatedAfter(last.map(Position::from))).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.memory.lock().purge(upto);
        // Nothing depends on when the files shrink.
        self.submit(Job::Note {
            record: Record::PurgedUpTo(upto.into()),
            done: None,
        })
    }
}
