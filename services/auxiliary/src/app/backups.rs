//! Backups of this node's entries, and what it began with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use api::cache::{ReplicaItem, Restored};
use cache::owner::{Identity, NotHandedOver, Owner};
use cache::{Clock, Skew, wall_ms};
use parking_lot::Mutex;
use prometheus::{Histogram, IntCounterVec, IntGauge, Registry};
use store::backup::{BackupDir, BackupId, BackupInfo, BackupMeta, Error, Found};
use store::cache::{Cache, Role};
use telemetry::Metrics;
use tokio::runtime::Handle;

/// Restored entries handed to their owners at once.
const CHUNK: usize = 1_000;
/// Bytes after which a chunk is handed over, however few entries it has.
const CHUNK_BYTES: usize = 1 << 20;

/// The backups of one node.
#[derive(Debug)]
pub(crate) struct Backups {
    dir: BackupDir,
    me: Identity,
    clock: Clock,
    restored: Mutex<Option<Restored>>,
    last_ms: AtomicU64,
    /// One at a time: two would only compete for the disk.
    writing: tokio::sync::Mutex<()>,
    results: IntCounterVec,
    seconds: Histogram,
    last_seconds: IntGauge,
}

/// Why a restore did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    #[error(transparent)]
    Backup(#[from] Error),
    #[error(transparent)]
    Owners(#[from] NotHandedOver),
    #[error("there is no backup to restore")]
    Nothing,
}

impl Backups {
    pub(crate) fn new(dir: BackupDir, me: Identity, clock: Clock, registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        Self {
            dir,
            me,
            clock,
            restored: Mutex::default(),
            last_ms: AtomicU64::new(0),
            writing: tokio::sync::Mutex::default(),
            results: metrics.counters("cache_backups_total", "Backups of this node, by how they ended.", &["result"]),
            seconds: metrics.histogram(
                "cache_backup_seconds",
                "Time to write a backup.",
                &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0],
            ),
            last_seconds: metrics.int_gauge(
                "cache_backup_last_timestamp_seconds",
                "When the newest whole backup was begun, Unix seconds; 0 while there is none.",
            ),
        }
    }

    /// What this life of the node began with.
    pub(crate) fn restored(&self) -> Option<Restored> {
        self.restored.lock().clone()
    }

    /// When the newest backup was begun.
    pub(crate) fn last_ms(&self) -> Option<u64> {
        Some(self.last_ms.load(Ordering::Relaxed)).filter(|at_ms| *at_ms != 0)
    }

    pub(crate) async fn list(&self) -> Result<Vec<Found>, Error> {
        let dir = self.dir.clone();
        blocking(move || dir.list()).await
    }

    /// Writes what the node holds now.
    pub(crate) async fn write(&self, id: BackupId, owner: &Owner) -> Result<BackupInfo, Error> {
        let _alone = self.writing.lock().await;
        let began = tokio::time::Instant::now();
        let meta = BackupMeta {
            id,
            node: self.me.id.clone(),
            boot_id: self.me.boot_id,
            epoch: owner.epoch(),
            made_at_ms: wall_ms(),
        };
        let (dir, store, told) = (self.dir.clone(), Arc::clone(owner.store()), self.time_of_day().reversed());
        let written = blocking(move || write(&dir, meta, &store, told)).await;
        match &written {
            Ok(info) => {
                self.made(info.made_at_ms);
                self.seconds.observe(began.elapsed().as_secs_f64());
                tracing::info!(id = %info.id, entries = info.entries, bytes = info.bytes, elapsed = ?began.elapsed(), "backup written");
            }
            Err(error) => tracing::error!(%error, "the backup failed; older ones are as they were"),
        }
        self.results
            .with_label_values(&[if written.is_ok() { "ok" } else { "error" }])
            .inc();
        written
    }

    /// Before the node takes part: loads its newest whole backup. What of it is outdated, range sync will tell.
    pub(crate) async fn load_newest(&self, store: &Arc<Cache>) -> Result<(), Error> {
        let (dir, store, clock, read) = (self.dir.clone(), Arc::clone(store), self.clock.clone(), self.time_of_day());
        let loaded = blocking(move || {
            dir.newest_whole(|mut item| {
                read.adopt(&mut item);
                store.apply(&item, Role::Replica, clock.now_ms());
            })
        });
        let Some(info) = loaded.await? else { return Ok(()) };
        self.made(info.made_at_ms);
        let age_seconds = wall_ms().saturating_sub(info.made_at_ms) / 1000;
        tracing::info!(backup = %info.id, entries = info.entries, age_seconds, "began with a backup; newer copies elsewhere win");
        *self.restored.lock() = Some(Restored {
            backup: info.id.to_string(),
            made_at_ms: info.made_at_ms,
            age_seconds,
            entries: info.entries,
        });
        Ok(())
    }

    /// Hands a backup (the newest unless named) to the owners of its entries.
    pub(crate) async fn restore(&self, id: Option<BackupId>, owner: &Arc<Owner>) -> Result<BackupInfo, RestoreError> {
        let (dir, owner, runtime, read) = (self.dir.clone(), Arc::clone(owner), Handle::current(), self.time_of_day());
        blocking(move || {
            let mut chunk = Chunk::new(&owner, &runtime);
            let add = |mut item: ReplicaItem<'_>| {
                read.adopt(&mut item);
                chunk.add(&item);
            };
            let info = match &id {
                Some(id) => Some(dir.load(id, add)?),
                None => dir.newest_whole(add)?,
            };
            chunk.finish()?;
            info.ok_or(RestoreError::Nothing)
        })
        .await
    }

    /// How far the time of day, by which backups are written, is from the clock that entries are judged by: it may have been set since
    /// the process began.
    fn time_of_day(&self) -> Skew {
        Skew::between(wall_ms(), self.clock.now_ms())
    }

    fn made(&self, at_ms: u64) {
        self.last_ms.fetch_max(at_ms, Ordering::Relaxed);
        self.last_seconds
            .set((self.last_ms.load(Ordering::Relaxed) / 1000).cast_signed());
    }
}

fn write(dir: &BackupDir, meta: BackupMeta, store: &Cache, told: Skew) -> Result<BackupInfo, Error> {
    let mut writer = dir.begin(meta)?;
    let mut failed = None;
    store.for_each(|record| {
        if failed.is_none() {
            let mut item = record.to_item();
            told.adopt(&mut item);
            failed = writer.add(&item).err();
        }
    });
    match failed {
        Some(error) => Err(error),
        None => writer.finish(),
    }
}

/// Entries on their way from a file to their owners; bounded, for the file may be large.
struct Chunk<'a> {
    owner: &'a Owner,
    runtime: &'a Handle,
    /// Encoded, since what the file hands over is borrowed.
    items: Vec<Vec<u8>>,
    bytes: usize,
    failed: Option<NotHandedOver>,
}

impl<'a> Chunk<'a> {
    fn new(owner: &'a Owner, runtime: &'a Handle) -> Self {
        Self {
            owner,
            runtime,
            items: Vec::new(),
            bytes: 0,
            failed: None,
        }
    }

    fn add(&mut self, item: &ReplicaItem<'_>) {
        let encoded = postcard::to_stdvec(item).unwrap_or_default();
        self.bytes += encoded.len();
        self.items.push(encoded);
        if self.items.len() >= CHUNK || self.bytes >= CHUNK_BYTES {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let items: Vec<ReplicaItem<'_>> = self.items.iter().filter_map(|item| postcard::from_bytes(item).ok()).collect();
        if self.failed.is_none() && !items.is_empty() {
            self.failed = self.runtime.block_on(self.owner.restore(&items)).err();
        }
        self.items.clear();
        self.bytes = 0;
    }

    fn finish(mut self) -> Result<(), NotHandedOver> {
        self.hand_over();
        self.failed.map_or(Ok(()), Err)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let worked = tokio::task::spawn_blocking(work);
    worked
        .await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
