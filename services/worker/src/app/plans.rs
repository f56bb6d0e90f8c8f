//! Plans of stages, fetched once for all tasks of a stage.

use std::collections::BTreeMap;

use api::JobId;
use api::task::TaskId;
use bytes::Bytes;
use parking_lot::Mutex;

use super::leader::{LeaderClient, LeaderError};

/// Plans kept; beyond, the oldest job's go (job ids are ordered by time).
const KEPT: usize = 512;

/// Plans of stages.
#[derive(Debug)]
pub(crate) struct Plans {
    leader: LeaderClient,
    plans: Mutex<BTreeMap<(JobId, u32, u32), Bytes>>,
}

impl Plans {
    pub(crate) const fn new(leader: LeaderClient) -> Self {
        Self {
            leader,
            plans: Mutex::new(BTreeMap::new()),
        }
    }

    /// The plan of a task's stage. A new leader plans the job anew: what is kept belongs to one run of it.
    pub(crate) async fn get(&self, task: &TaskId) -> Result<Bytes, LeaderError> {
        let key = (task.job, task.run(), task.stage);
        let known = self.plans.lock().get(&key).cloned();
        if let Some(plan) = known {
            return Ok(plan);
        }
        let plan = self.leader.stage_plan(task.job, task.stage).await?;
        let mut plans = self.plans.lock();
        plans.insert(key, plan.clone());
        while plans.len() > KEPT {
            plans.pop_first();
        }
        Ok(plan)
    }

    /// Drops the plans of a job.
    pub(crate) fn forget(&self, job: JobId) {
        self.plans.lock().retain(|(of, ..), _| *of != job);
    }
}
