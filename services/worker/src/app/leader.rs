//! Calls to the leader, whoever that is at the moment.

use std::sync::Arc;
use std::time::Duration;

use api::job::Cost;
use api::member::Member;
use api::task::{Outcome, PollRequest, PollResponse, Report, ReportResponse, TaskProgress, WorkId};
use api::{ErrorCode, JobId};
use bytes::Bytes;
use cluster::View;
use telemetry::traces::Tracer;
use transport::peer::{PeerClient, PeerError};

/// How long the leader may hold a poll back.
const POLL_WAIT: Duration = Duration::from_secs(5);
/// The same while something runs, so that the leader sees how far it is.
const BUSY_POLL_WAIT: Duration = Duration::from_secs(1);
/// After that, time for the answer to arrive.
const POLL_GRACE: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);
const POSTCARD: &str = "application/octet-stream";

/// Why a call to the leader failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaderError {
    /// Nobody leads, as far as this node knows.
    #[error("nobody leads the cluster now")]
    Nobody,
    /// The call failed.
    #[error(transparent)]
    Call(#[from] PeerError),
}

/// What a worker has in hand.
#[derive(Debug)]
pub(crate) struct Load {
    /// Work that holds slots.
    pub(crate) running: Vec<WorkId>,
    /// How far each is.
    pub(crate) progress: Vec<TaskProgress>,
    /// Memory of tasks, in bytes.
    pub(crate) memory_limit: u64,
    /// Of it, what they hold.
    pub(crate) memory_used: u64,
}

/// The way to the leader.
#[derive(Debug, Clone)]
pub(crate) struct LeaderClient {
    peers: PeerClient,
    view: Arc<View>,
    me: Arc<Member>,
    slots: u32,
}

impl LeaderClient {
    pub(crate) fn new(peers: PeerClient, view: Arc<View>, me: Member, slots: u32) -> Self {
        Self {
            peers,
            view,
            me: Arc::new(me),
            slots,
        }
    }

    /// What records its calls, and the work that it brings.
    pub(crate) const fn tracer(&self) -> &Tracer {
        self.peers.tracer()
    }

    /// Asks for work.
    pub(crate) async fn poll(&self, load: Load) -> Result<PollResponse, LeaderError> {
        let wait = if load.running.is_empty() { POLL_WAIT } else { BUSY_POLL_WAIT };
        let request = PollRequest {
            worker: self.me.id.clone(),
            boot_id: self.me.boot_id,
            address: self.me.address.clone(),
            slots: self.slots,
            running: load.running,
            progress: load.progress,
            memory_limit: load.memory_limit,
            memory_used: load.memory_used,
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        };
        let call = self.peers.post(&self.address()?, "/internal/v1/jobs/poll").json(&request);
        Ok(call.deadline(wait + POLL_GRACE).send().await?.json().await?)
    }

    /// Reports until it is durable, with what an attempt that failed has cost. Returns whether the job may be forgotten.
    pub(crate) async fn report(&self, work: WorkId, outcome: Outcome, wasted: Cost) -> bool {
        let report = Report {
            worker: self.me.id.clone(),
            boot_id: self.me.boot_id,
            work,
            outcome,
            wasted,
        };
        let body = match report.encode() {
            Ok(body) => Bytes::from(body),
            Err(error) => {
                tracing::error!(?work, %error, "a report cannot be encoded");
                return false;
            }
        };
        let mut pause = FIRST_PAUSE;
        loop {
            match self.send_report(body.clone()).await {
                Ok(ReportResponse { durable: true, forget }) => return forget,
                Ok(ReportResponse { forget: true, .. }) => return true,
                Ok(_) => tracing::debug!(?work, "a report is not durable yet"),
                // Sending it again would not change the answer; the leader will find the work missing.
                Err(LeaderError::Call(PeerError::Answered { problem, .. }))
                    if matches!(problem.code, ErrorCode::InvalidArgument | ErrorCode::TooLarge) =>
                {
                    tracing::error!(?work, detail = problem.detail, "a report is refused");
                    return false;
                }
                Err(error) => tracing::debug!(?work, %error, "a report could not be delivered; sending it again"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LAST_PAUSE),
                () = self.changed() => pause = FIRST_PAUSE,
            }
        }
    }

    /// The plan of a stage.
    pub(crate) async fn stage_plan(&self, job: JobId, stage: u32) -> Result<Bytes, LeaderError> {
        let path = format!("/internal/v1/jobs/{job}/stages/{stage}");
        Ok(self.peers.get(&self.address()?, &path).send().await?.bytes().await?)
    }

    /// Returns when somebody else leads.
    pub(crate) async fn changed(&self) {
        let before = self.view.load().leader().cloned();
        self.view.wait_for(|snapshot| snapshot.leader() != before.as_ref()).await;
    }

    async fn send_report(&self, body: Bytes) -> Result<ReportResponse, LeaderError> {
        let call = self
            .peers
            .post(&self.address()?, "/internal/v1/jobs/report")
            .body(POSTCARD, body);
        Ok(call.send().await?.json().await?)
    }

    fn address(&self) -> Result<String, LeaderError> {
        self.view
            .load()
            .leader()
            .map(|leader| leader.address.clone())
            .ok_or(LeaderError::Nobody)
    }
}
