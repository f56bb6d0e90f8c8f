//! Going back to a backup.
//!
//! Each auxiliary hands the entries of its own file to their present owners, under the versions they were written with. So
//! nothing that is newer is lost when they are merged; to replace what is there, all of it that is older than now is cleared
//! first. That is only begun when everything it needs is there.

use std::collections::BTreeMap;
use std::time::Duration;

use api::member::Phase;
use api::operations::{Deleted, RestoreMode, RestorePart, RestoreReport, Unanswered};
use api::{ErrorCode, NodeId};
use cache::front::Failure;
use serde::Serialize;
use transport::peer::Retry;

use super::{Backups, DEADLINE, Named, Shown, empty};
use crate::app::auxiliaries::{Auxiliaries, Target};

/// Longest time for a node to drop what it holds.
const CLEAR_DEADLINE: Duration = Duration::from_secs(5);

/// What auxiliaries are asked before a backup replaces what they hold.
#[derive(Debug, Serialize)]
struct Clear {
    older_than: u64,
}

impl Backups {
    /// Restores a backup (the newest of each node unless named). `stamp` is one of now. It goes on when the caller goes away.
    ///
    /// # Errors
    /// [`Failure`] when nothing was begun.
    pub async fn restore(&self, mode: RestoreMode, id: Option<String>, stamp: u64) -> Result<RestoreReport, Failure> {
        let this = self.clone();
        self.detached(async move { this.restore_now(mode, id.as_deref(), stamp).await })
            .await
    }

    async fn restore_now(&self, mode: RestoreMode, id: Option<&str>, stamp: u64) -> Result<RestoreReport, Failure> {
        let _alone = self.alone()?;
        let routing = self.auxiliaries.routing();
        let targets = Auxiliaries::in_ring(&routing);
        if targets.is_empty() {
            return Err(empty());
        }
        if mode == RestoreMode::Replace && routing.record().phase != Phase::Stable {
            return Err(refused(
                ErrorCode::Conflict,
                "the ring is changing, nothing was cleared; try again when GET /ring says that it is stable",
            ));
        }
        let holders = self.holders(mode, id, &targets).await?;
        let mut parts: Vec<RestorePart> = targets.iter().map(|target| nothing_yet(&target.id)).collect();
        if mode == RestoreMode::Replace {
            self.clear(&targets, stamp, &mut parts).await;
        }
        self.load(&holders, id, &mut parts).await;
        let report = RestoreReport {
            mode,
            complete: parts.iter().all(|part| part.error.is_none()),
            entries: parts.iter().map(|part| part.entries).sum(),
            nodes: parts,
        };
        tracing::warn!(
            ?mode,
            entries = report.entries,
            complete = report.complete,
            "restored from backups"
        );
        Ok(report)
    }

    /// Those of the ring who have the backup.
    async fn holders(&self, mode: RestoreMode, id: Option<&str>, targets: &[Target]) -> Result<Vec<Target>, Failure> {
        let (found, unanswered) = self.found().await;
        if let Some(silent) = unanswered.first()
            && mode == RestoreMode::Replace
        {
            let Unanswered { node, error } = silent;
            let detail = format!("nothing was cleared: {node} does not say what backups it has ({error})");
            return Err(refused(ErrorCode::Unavailable, detail));
        }
        let has = |target: &&Target| {
            let usable = |shown: &Shown| shown.damaged.is_none() && id.is_none_or(|id| shown.id == id);
            found.iter().any(|(node, shown)| *node == target.id && usable(shown))
        };
        let holders: Vec<Target> = targets.iter().filter(has).cloned().collect();
        if holders.is_empty() {
            let detail = match id {
                Some(id) => format!("no node of the ring has a whole backup {id}; GET /backups lists what there is"),
                None => "no node of the ring has a whole backup".to_owned(),
            };
            return Err(refused(ErrorCode::NotFound, detail));
        }
        Ok(holders)
    }

    async fn clear(&self, targets: &[Target], older_than: u64, parts: &mut [RestorePart]) {
        let replies = self.auxiliaries.ask::<Deleted>(targets, CLEAR_DEADLINE, |peers, address| {
            let request = peers.post(address, "/internal/v1/cache/clear").json(&Clear { older_than });
            request.retry(Retry::Always)
        });
        for (part, reply) in parts.iter_mut().zip(replies.await) {
            match reply.answer {
                Ok(cleared) => part.cleared = Some(cleared.deleted),
                // What it still holds is newer than the backup, and wins.
                Err(error) => part.error = Some(format!("it was not cleared: {error}")),
            }
        }
    }

    async fn load(&self, holders: &[Target], id: Option<&str>, parts: &mut [RestorePart]) {
        let replies = self.auxiliaries.ask::<Shown>(holders, DEADLINE, |peers, address| {
            // It tries again by itself where that may help.
            let request = peers.post(address, "/internal/v1/cache/restore").json(&Named { id });
            request.retry(Retry::Never)
        });
        let mut answers: BTreeMap<NodeId, _> = replies.await.into_iter().map(|reply| (reply.node, reply.answer)).collect();
        for part in parts {
            match answers.remove(&part.node) {
                Some(Ok(shown)) => {
                    part.entries = shown.entries;
                    part.made_at_ms = shown.made_at_ms;
                    part.backup = Some(shown.id);
                }
                Some(Err(error)) => {
                    let before = part.error.take().map(|error| format!("{error}; ")).unwrap_or_default();
                    part.error = Some(format!("{before}its backup was not restored: {error}"));
                }
                None => {}
            }
        }
    }
}

fn nothing_yet(node: &NodeId) -> RestorePart {
    RestorePart {
        node: node.clone(),
        backup: None,
        made_at_ms: None,
        cleared: None,
        entries: 0,
        error: None,
    }
}

fn refused(code: ErrorCode, detail: impl Into<String>) -> Failure {
    Failure {
        code,
        detail: detail.into(),
    }
}
