//! The audit log: who did what to the cluster, and who was turned away.
//!
//! One JSON object a line, in a file that is only ever appended to ([`file`]), or in the ordinary log under the target `audit`. Whoever
//! records something never waits: a bounded queue and one thread stand between. What cannot be written is counted, said in the ordinary log,
//! and noted in the audit log itself once that can be written again.
//!
//! Nothing here takes headers, query strings or bodies, so no secret can come in by them; texts are cut to a bound and hold no control
//! characters.

mod entry;
mod file;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, SystemTime};

use prometheus::{IntCounter, Registry};

use crate::Metrics;
pub use entry::{Actor, Entry, Outcome};
use file::AuditFile;

/// Lines that may wait to be written: some seconds of a disk that stands still.
const QUEUE: usize = 4096;
/// Name of the thread that writes.
const THREAD: &str = "audit-log";

/// Where a node's audit log goes; clones are one.
#[derive(Debug, Clone)]
pub struct Audit {
    node: Arc<str>,
    to: Option<SyncSender<Item>>,
    lost: IntCounter,
}

/// What the thread that writes is told.
#[derive(Debug)]
enum Item {
    Entry(Box<Entry>),
    /// Say when all that came before is on the disk.
    Flush(SyncSender<()>),
}

/// An audit log that cannot be written from the start.
#[derive(Debug, thiserror::Error)]
#[error(
    "the audit log {path} cannot be opened (AUDIT_LOG): its directory must be there, and this process must be allowed to write to it"
)]
pub struct OpenError {
    path: String,
    #[source]
    source: io::Error,
}

impl Audit {
    /// That of a node, in the ordinary log.
    #[must_use]
    pub fn in_log(node: &str, registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        Self {
            node: node.into(),
            to: None,
            lost: metrics.counter(
                "audit_entries_lost_total",
                "Entries that could not be written to the audit log.",
            ),
        }
    }

    /// That of a node: into the file of this path, or into the ordinary log when it is empty or `-`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &str, node: &str, registry: &Registry) -> Result<Self, OpenError> {
        let mut audit = Self::in_log(node, registry);
        if !matches!(path, "" | "-") {
            let fail = |source| OpenError {
                path: path.to_owned(),
                source,
            };
            let file = AuditFile::open(Path::new(path)).map_err(fail)?;
            let (sender, receiver) = sync_channel(QUEUE);
            let (node, lost) = (Arc::clone(&audit.node), audit.lost.clone());
            // It ends when nobody can send it anything any more.
            let thread = std::thread::Builder::new().name(THREAD.to_owned());
            thread
                .spawn(move || file::write(file, &receiver, &node, &lost))
                .map_err(fail)?;
            audit.to = Some(sender);
        }
        Ok(audit)
    }

    /// Adds an entry, as of now. Returns at once.
    pub fn record(&self, mut entry: Entry) {
        entry.time.get_or_insert_with(SystemTime::now);
        match &self.to {
            None => entry.log(&self.node),
            Some(queue) => match queue.try_send(Item::Entry(Box::new(entry))) {
                Ok(()) => {}
                // The file will say how many are missing.
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.lost.inc(),
            },
        }
    }

    /// Waits until all that was recorded is on the disk, but no longer than `at_most`; false when it is not.
    #[must_use]
    pub fn flush(&self, at_most: Duration) -> bool {
        let Some(queue) = &self.to else { return true };
        let (done, flushed) = sync_channel(1);
        queue.try_send(Item::Flush(done)).is_ok() && flushed.recv_timeout(at_most).is_ok()
    }
}
