//! Planning a job without running it. Nothing of it is kept.

use std::time::Duration;

use api::JobId;
use api::job::JobSpec;
use api::job_tasks::DryRun;
use jobs::JobRecord;
use tokio::time::timeout;

use super::leader::{Seat, wall};
use super::orders::{Place, Submission};
use super::{Error, Jobs, limits, plans};

/// Longest wait for a plan.
const PATIENCE: Duration = Duration::from_secs(30);

impl Jobs {
    /// What would be run.
    ///
    /// # Errors
    /// [`Error::Problem`] when it cannot be planned, or as [`Jobs::submit`].
    pub async fn dry_run(&self, namespace: &str, spec: JobSpec) -> Result<DryRun, Error> {
        limits::check(&spec)?;
        let submission = Submission {
            id: JobId::new_now(),
            namespace: namespace.to_owned(),
            spec,
            idempotency_key: None,
            trace: None,
        };
        self.at_leader(|place| {
            let (jobs, submission) = (self.clone(), submission.clone());
            async move {
                match place {
                    Place::Here(seat) => jobs.dry_run_at(seat, submission).await,
                    Place::There(address) => {
                        let order = jobs.inner.peers.post(&address, "/internal/v1/jobs/dry-run").json(&submission);
                        Ok(order.deadline(PATIENCE + Duration::from_secs(2)).send().await?.json().await?)
                    }
                }
            }
        })
        .await
    }

    /// Plans a job on this master, which must lead.
    ///
    /// # Errors
    /// [`Error::NotLeader`], and as [`Jobs::dry_run`].
    pub async fn dry_run_here(&self, submission: Submission) -> Result<DryRun, Error> {
        self.dry_run_at(self.seat().ok_or(Error::NotLeader)?, submission).await
    }

    async fn dry_run_at(&self, seat: Seat, submission: Submission) -> Result<DryRun, Error> {
        let mut record = JobRecord::new(submission.id, submission.spec, wall());
        record.namespace = submission.namespace;
        match timeout(PATIENCE, seat.dry_run(record)).await {
            Ok(planned) => planned?.map(|graph| plans::dry_run_view(&graph)).map_err(Error::Problem),
            Err(_) => Err(Error::Problem(api::Problem::new(
                api::ErrorCode::Timeout,
                format!("no worker has planned it within {} s; try again", PATIENCE.as_secs()),
            ))),
        }
    }
}
