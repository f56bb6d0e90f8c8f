//! Deleting all keys of a namespace that begin with a prefix.
//!
//! Every node of the ring deletes what it is the primary of, under one stamp given here: entries written later stay, and
//! sending it again does no harm. Until all have done it under one ring, everybody of the present one is asked again: keys may
//! have gone to a node that was not asked, and a node that does not answer may be out of the ring a moment later.

use std::sync::Arc;
use std::time::Duration;

use api::ErrorCode;
use api::operations::Deleted;
use cache::front::Failure;
use serde::Serialize;
use tokio::time::{Instant, sleep};
use transport::peer::Retry;

use super::auxiliaries::{Auxiliaries, Reply};

/// Longest time for all of it, as for a write.
const DEADLINE: Duration = Duration::from_secs(5);
/// Longest wait for one node, before it is looked whether it still is in the ring.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pause before everybody is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// What auxiliaries are asked.
#[derive(Debug, Serialize)]
struct Asked<'a> {
    namespace: &'a str,
    prefix: &'a str,
    version: u64,
}

/// What one round came to.
#[derive(Debug, Default)]
struct Round {
    deleted: u64,
    /// Whether something may have been deleted.
    begun: bool,
    /// Why not all have done it.
    failed: Option<String>,
}

impl Auxiliaries {
    /// Deletes entries older than the stamp; how many there were.
    ///
    /// # Errors
    /// [`Failure`]: 503 when nothing was deleted, 504 when some may have been.
    pub async fn delete_prefix(&self, namespace: &str, prefix: &str, version: u64) -> Result<u64, Failure> {
        let until = Instant::now() + DEADLINE;
        let (mut deleted, mut begun) = (0, false);
        loop {
            let routing = self.routing();
            let targets = Self::in_ring(&routing);
            if targets.is_empty() {
                return Err(incomplete(begun, "no auxiliary is in the ring"));
            }
            let replies = self.ask(&targets, PATIENCE, |peers, address| {
                let asked = Asked {
                    namespace,
                    prefix,
                    version,
                };
                let request = peers.post(address, "/internal/v1/cache/delete_prefix");
                request.json(&asked).retry(Retry::Never)
            });
            let round = Round::of(replies.await);
            deleted += round.deleted;
            begun |= round.begun;
            if round.failed.is_none() && Arc::ptr_eq(&routing, &self.routing()) {
                return Ok(deleted);
            }
            if Instant::now() + PAUSE >= until {
                let why = round.failed.as_deref().unwrap_or("the ring keeps changing");
                return Err(incomplete(begun, why));
            }
            sleep(PAUSE).await;
        }
    }
}

impl Round {
    fn of(replies: Vec<Reply<Deleted>>) -> Self {
        let mut round = Self::default();
        for reply in replies {
            match reply.answer {
                Ok(answer) => {
                    round.deleted += answer.deleted;
                    round.begun = true;
                }
                Err(error) => {
                    // One that serves another ring may have begun by it.
                    round.begun |= !error.code().is_retryable();
                    round.failed = Some(format!("{}: {error}", reply.node));
                }
            }
        }
        round
    }
}

fn incomplete(begun: bool, why: &str) -> Failure {
    match begun {
        true => Failure {
            code: ErrorCode::Timeout,
            detail: format!("some entries may be deleted, but not all: {why}; send it again"),
        },
        false => Failure {
            code: ErrorCode::Unavailable,
            detail: format!("nothing was deleted: {why}"),
        },
    }
}
