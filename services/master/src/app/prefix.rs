//! Deleting all keys of a namespace that begin with a prefix.
//!
//! Every node of the ring deletes what it is the primary of, under one stamp given here: entries written later stay, and
//! sending it again does no harm. When the ring has changed meanwhile, everybody of the new one is asked too, for keys may
//! have gone to a node that was not asked.

use std::time::Duration;

use api::ErrorCode;
use api::operations::Deleted;
use cache::front::Failure;
use serde::Serialize;
use tokio::time::{Instant, sleep};
use transport::peer::{PeerError, Retry};

use super::auxiliaries::{Auxiliaries, Reply};

/// Longest time for all of it.
const DEADLINE: Duration = Duration::from_secs(8);
/// Pause before nodes are asked again that serve another ring than they were asked by.
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
    answered: bool,
    /// Nothing was done there, and it should be asked again.
    refused: Option<String>,
    /// Nothing was done there.
    unreachable: Option<String>,
    /// It may or may not have been done there.
    unknown: Option<String>,
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
                return Err(unavailable(begun, "no auxiliary is in the ring"));
            }
            let left = until.saturating_duration_since(Instant::now());
            let replies = self.ask(&targets, left, |peers, address| {
                let asked = Asked {
                    namespace,
                    prefix,
                    version,
                };
                peers
                    .post(address, "/internal/v1/cache/delete_prefix")
                    .json(&asked)
                    .retry(Retry::Always)
            });
            let round = Round::of(replies.await);
            deleted += round.deleted;
            begun |= round.answered || round.unknown.is_some();
            if let Some(detail) = round.unknown.as_ref().or(round.unreachable.as_ref()) {
                return Err(unavailable(begun, detail));
            }
            if round.refused.is_none() && std::sync::Arc::ptr_eq(&routing, &self.routing()) {
                return Ok(deleted);
            }
            if Instant::now() + PAUSE >= until {
                let detail = round.refused.as_deref().unwrap_or("the ring keeps changing");
                return Err(unavailable(begun, detail));
            }
            sleep(PAUSE).await;
        }
    }
}

impl Round {
    fn of(replies: Vec<Reply<Deleted>>) -> Self {
        let mut round = Self::default();
        for reply in replies {
            let error = match reply.answer {
                Ok(answer) => {
                    round.deleted += answer.deleted;
                    round.answered = true;
                    continue;
                }
                Err(error) => error,
            };
            let detail = Some(format!("{}: {error}", reply.node));
            match (&error, error.code()) {
                (PeerError::Answered { .. }, ErrorCode::Conflict) => round.refused = detail,
                (_, code) if code.is_retryable() => round.unreachable = detail,
                _ => round.unknown = detail,
            }
        }
        round
    }
}

fn unavailable(begun: bool, why: &str) -> Failure {
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
