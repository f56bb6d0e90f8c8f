//! Submitting and cancelling: taken by any master, decided by the leader.

use std::future::Future;
use std::time::Duration;

use api::job::{Job, JobSpec, JobState};
use api::{ErrorCode, JobId};
use cluster::LeaderState;
use jobs::{CancelError, JobRecord, JobTrace};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use transport::peer::{Method, Retry};

use super::leader::{Accepted, Seat};
use super::{Error, Jobs, limits, trace};

/// Longest search for a leader that takes an order: an election takes less.
const PATIENCE: Duration = Duration::from_secs(8);
/// Pause before the next try.
const PAUSE: Duration = Duration::from_millis(200);

/// An order to run a job. Its id is chosen by the master that took it, so that sending it again does not run it twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The job's id, unless the idempotency key stands for another job.
    pub id: JobId,
    /// Its namespace; empty is the default one.
    #[serde(default)]
    pub namespace: String,
    /// What to run.
    pub spec: JobSpec,
    /// The client's `Idempotency-Key`.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// Its place in the trace of the request that brings it, which says so itself.
    #[serde(skip)]
    pub trace: Option<JobTrace>,
}

/// Who decides now.
pub(super) enum Place {
    Here(Seat),
    There(String),
}

impl Jobs {
    /// Accepts a job: when this returns, it is durable. The same idempotency key with the same job gives the job there is.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the job is over a limit, [`Error::OverQuota`] when its namespace is, [`Error::Conflict`] when the key stands for a different job, or when
    /// no leader takes it in time.
    pub async fn submit(&self, namespace: &str, spec: JobSpec, idempotency_key: Option<String>) -> Result<Job, Error> {
        limits::check(&spec)?;
        idempotency_key.as_deref().map_or(Ok(()), limits::check_idempotency_key)?;
        let submission = Submission {
            id: JobId::new_now(),
            namespace: namespace.to_owned(),
            spec,
            idempotency_key,
            trace: None,
        };
        self.at_leader(|place| {
            let (jobs, submission) = (self.clone(), submission.clone());
            async move {
                match place {
                    Place::Here(seat) => jobs.accept_at(seat, submission).await,
                    Place::There(address) => {
                        let order = jobs.inner.peers.post(&address, "/internal/v1/jobs").json(&submission);
                        Ok(order.retry(Retry::NotExecuted).send().await?.json().await?)
                    }
                }
            }
        })
        .await
    }

    /// Cancels a job; when this returns, its end is durable. Cancelling twice is fine.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it ended otherwise, [`Error::NotFound`], or when no leader answers in time.
    pub async fn cancel(&self, namespace: &str, job: JobId) -> Result<Job, Error> {
        self.get(namespace, job).await?;
        self.at_leader(|place| {
            let jobs = self.clone();
            async move {
                match place {
                    Place::Here(seat) => jobs.cancel_at(seat, job).await,
                    Place::There(address) => {
                        let path = format!("/internal/v1/jobs/{job}");
                        let order = jobs.inner.peers.request(Method::DELETE, &address, &path);
                        Ok(order.retry(Retry::Always).send().await?.json().await?)
                    }
                }
            }
        })
        .await
    }

    /// Accepts a job on this master, which must lead.
    ///
    /// # Errors
    /// [`Error::NotLeader`], and as [`Jobs::submit`].
    pub async fn accept(&self, submission: Submission) -> Result<Job, Error> {
        self.accept_at(self.seat().ok_or(Error::NotLeader)?, submission).await
    }

    /// Cancels a job on this master, which must lead.
    ///
    /// # Errors
    /// [`Error::NotLeader`], and as [`Jobs::cancel`].
    pub async fn cancel_here(&self, job: JobId) -> Result<Job, Error> {
        self.cancel_at(self.seat().ok_or(Error::NotLeader)?, job).await
    }

    async fn accept_at(&self, seat: Seat, submission: Submission) -> Result<Job, Error> {
        let trace = trace::begin(self.inner.peers.tracer());
        let submission = Submission { trace, ..submission };
        // A client that leaves must not leave a durable job behind that no scheduler was told of.
        let accepting = tokio::spawn(async move {
            match seat.accept(submission).await? {
                Accepted::New(record) | Accepted::Known(record) => Ok(record.view()),
            }
        });
        accepting
            .await
            .unwrap_or_else(|error| Err(Error::Unavailable(format!("the job was not accepted: {error}"))))
    }

    async fn cancel_at(&self, seat: Seat, job: JobId) -> Result<Job, Error> {
        let ended = match seat.cancel(job).await? {
            Ok(record) => record,
            Err(CancelError::NotLive | CancelError::Ending) => self.record(job).await?,
        };
        cancelled(&ended)
    }

    /// Makes a call where the leader is, again while leaders change. Only for calls that may be made twice.
    pub(super) async fn at_leader<T, F>(&self, call: impl Fn(Place) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let until = Instant::now() + PATIENCE;
        let mut unknown = None;
        loop {
            let outcome = match self.place() {
                Some(place) => call(place).await,
                None => Err(Error::Unavailable("no master leads at the moment; try again".to_owned())),
            };
            let error = match outcome {
                Err(error) if error.is_transient() => error,
                decided => return decided,
            };
            if Instant::now() + PAUSE >= until {
                return Err(given_up(error, unknown));
            }
            if error.code() == ErrorCode::Timeout {
                unknown.get_or_insert(error);
            }
            sleep(PAUSE).await;
        }
    }

    fn place(&self) -> Option<Place> {
        if let Some(seat) = self.seat() {
            return Some(Place::Here(seat));
        }
        match &*self.inner.leadership.borrow() {
            LeaderState::Following { leader: Some(leader) } => Some(Place::There(leader.address.clone())),
            LeaderState::Following { leader: None } | LeaderState::Leading(_) => None,
        }
    }
}

/// What the client hears when no leader took an order in time: `last` is why it was not taken at last, `unknown` an attempt before that which may
/// have been executed all the same.
fn given_up(last: Error, unknown: Option<Error>) -> Error {
    match (last, unknown) {
        (_, Some(unknown)) => unknown,
        // A word between masters: a client has no leader to ask.
        (last, None) if last.code() == ErrorCode::NotLeader => Error::Unavailable(
            "no master leads at the moment: the last one has given up, or lost the control store; try again".to_owned(),
        ),
        (last, None) => last,
    }
}

fn cancelled(record: &JobRecord) -> Result<Job, Error> {
    match record.state {
        JobState::Cancelled => Ok(record.view()),
        state if state.is_final() => {
            let state = super::metrics::state_name(state);
            Err(Error::Conflict(format!(
                "the job has already {state}; there is nothing to cancel"
            )))
        }
        _ => Err(Error::Unavailable(
            "the job is being taken over by another leader; try again".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use api::Problem;

    use super::*;

    #[test]
    fn clients_never_hear_that_a_master_does_not_lead() {
        let error = given_up(Error::NotLeader, None);
        assert_eq!(error.code(), ErrorCode::Unavailable);
        assert!(error.to_string().contains("control store"), "{error}");
    }

    #[test]
    fn an_order_that_may_have_been_executed_once_stays_unknown() {
        let timeout = || Error::Problem(Problem::new(ErrorCode::Timeout, "no answer in time"));
        assert_eq!(given_up(Error::NotLeader, Some(timeout())).code(), ErrorCode::Timeout);
        assert_eq!(given_up(timeout(), None).code(), ErrorCode::Timeout);
    }
}
