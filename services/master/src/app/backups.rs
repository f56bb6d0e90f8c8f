//! Backups of the whole cache: one round over all auxiliaries, under one id, so that an operator can go back to it.
//!
//! Every auxiliary writes its own file, from which it begins anew after a restart. A part that fails is said with its node,
//! and the others stand: with two copies of each entry a backup without one node is still whole.

mod listing;
mod restore;

use std::sync::Arc;
use std::time::Duration;

use api::operations::{ASKED_BACKUP, BackupPart, BackupReport};
use cache::front::Failure;
use serde::{Deserialize, Serialize};
use transport::peer::Retry;
use uuid::Uuid;

use super::auxiliaries::Auxiliaries;

/// Longest time for one node to write or to load a backup.
const DEADLINE: Duration = Duration::from_secs(110);

/// Backups as masters make them; clones are one.
#[derive(Debug, Clone)]
pub struct Backups {
    auxiliaries: Auxiliaries,
    /// One round or restore at a time on this master.
    alone: Arc<tokio::sync::Mutex<()>>,
}

/// Which backup.
#[derive(Debug, Serialize)]
struct Named<'a> {
    id: Option<&'a str>,
}

/// A backup as auxiliaries show it.
#[derive(Debug, Clone, Deserialize)]
struct Shown {
    id: String,
    #[serde(default)]
    made_at_ms: Option<u64>,
    entries: u64,
    bytes: u64,
    /// Why it is of no use.
    #[serde(default)]
    damaged: Option<String>,
}

impl Backups {
    /// Of these auxiliaries.
    #[must_use]
    pub fn new(auxiliaries: Auxiliaries) -> Self {
        Self {
            auxiliaries,
            alone: Arc::default(),
        }
    }

    /// Has every auxiliary of the ring write a backup because somebody asked for it: periodic ones do not displace it. It
    /// goes on when the caller goes away.
    ///
    /// # Errors
    /// [`Failure`] when nothing was begun: another round is under way here, or the ring is empty.
    pub async fn make(&self) -> Result<BackupReport, Failure> {
        self.begin(format!("{ASKED_BACKUP}{}", Uuid::now_v7())).await
    }

    /// The same, because it is time.
    ///
    /// # Errors
    /// As [`Backups::make`].
    pub async fn make_periodic(&self) -> Result<BackupReport, Failure> {
        self.begin(Uuid::now_v7().to_string()).await
    }

    async fn begin(&self, id: String) -> Result<BackupReport, Failure> {
        let this = self.clone();
        self.detached(async move { this.make_as(id).await }).await
    }

    async fn make_as(&self, id: String) -> Result<BackupReport, Failure> {
        let _alone = self.alone()?;
        let targets = Auxiliaries::in_ring(&self.auxiliaries.routing());
        if targets.is_empty() {
            return Err(empty());
        }
        let replies = self.auxiliaries.ask::<Shown>(&targets, DEADLINE, |peers, address| {
            let named = Named { id: Some(&id) };
            // Not again: a full disk is to be said at once.
            let request = peers.post(address, "/internal/v1/cache/backup").json(&named);
            request.retry(Retry::Never)
        });
        let nodes: Vec<BackupPart> = replies
            .await
            .into_iter()
            .map(|reply| {
                let (entries, bytes) = reply.answer.as_ref().map_or((0, 0), |shown| (shown.entries, shown.bytes));
                BackupPart {
                    entries,
                    bytes,
                    error: reply.answer.err().map(|error| error.to_string()),
                    node: reply.node,
                }
            })
            .collect();
        let report = BackupReport {
            id,
            complete: nodes.iter().all(|part| part.error.is_none()),
            entries: nodes.iter().map(|part| part.entries).sum(),
            bytes: nodes.iter().map(|part| part.bytes).sum(),
            nodes,
        };
        let (id, entries, bytes) = (&report.id, report.entries, report.bytes);
        match report.complete {
            true => tracing::info!(%id, entries, bytes, "backup of the cache"),
            false => {
                tracing::error!(%id, entries, bytes, failed = %failed(&report.nodes), "backup of the cache without some nodes")
            }
        }
        Ok(report)
    }

    fn alone(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Failure> {
        self.alone.try_lock().map_err(|_| Failure {
            code: api::ErrorCode::Conflict,
            detail: "a backup or a restore is under way on this master; try again when it has ended".to_owned(),
        })
    }

    /// Runs something to its end, whoever waits for it.
    async fn detached<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let worked = tokio::spawn(work).await;
        worked.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

fn failed(parts: &[BackupPart]) -> String {
    let failed = parts
        .iter()
        .filter_map(|part| Some(format!("{}: {}", part.node, part.error.as_ref()?)));
    failed.collect::<Vec<_>>().join("; ")
}

fn empty() -> Failure {
    Failure {
        code: api::ErrorCode::Unavailable,
        detail: "no auxiliary is in the ring".to_owned(),
    }
}
