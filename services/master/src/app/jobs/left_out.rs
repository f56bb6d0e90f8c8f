//! Workers that get no tasks for a while, since tasks fail on them that succeed elsewhere. Only the leader knows them.

use std::sync::Arc;
use std::time::Duration;

use api::NodeId;
use api::cache::MasterStatus;
use cluster::LeaderState;
use transport::peer::Retry;

use super::Jobs;

/// Longest wait for the leader's word: without it the rest is shown.
const PATIENCE: Duration = Duration::from_millis(500);

impl Jobs {
    /// The workers that are left out, as the leader says; none when it does not say at once.
    pub async fn left_out(&self) -> Option<Vec<NodeId>> {
        if self.seat().is_some() {
            return Some(self.left_out_here());
        }
        let leader = match &*self.inner.leadership.borrow() {
            LeaderState::Following { leader: Some(leader) } => leader.address.clone(),
            LeaderState::Following { leader: None } | LeaderState::Leading(_) => return None,
        };
        let asked = async {
            // A look must neither be stopped by a breaker nor close it to others.
            let request = self.inner.peers.get(&leader, "/internal/v1/cluster/status");
            let answer = request.retry(Retry::Never).unguarded().deadline(PATIENCE).send().await.ok()?;
            answer.json::<MasterStatus>().await.ok()
        };
        let status = tokio::time::timeout(PATIENCE, asked).await.ok()??;
        Some(status.workers_left_out)
    }

    /// Those that the scheduler of this master leaves out, while it leads.
    #[must_use]
    pub fn left_out_here(&self) -> Vec<NodeId> {
        self.inner.left_out.load().to_vec()
    }

    pub(super) fn leave_out(&self, workers: Vec<NodeId>) {
        if **self.inner.left_out.load() != workers {
            self.inner.left_out.store(Arc::new(workers));
        }
    }
}
