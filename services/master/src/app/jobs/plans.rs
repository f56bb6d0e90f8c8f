//! Plans of jobs as people see them.

use api::JobId;
use api::job_tasks::{DryRun, Estimate, JobPlan, PlanStage};
use api::task::StageGraph;
use jobs::JobRecord;

use super::{Error, Jobs, metrics, saved};

impl Jobs {
    /// The plan of a job, without what only workers read.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is not planned yet, [`Error::NotFound`], or when the store does not answer.
    pub async fn plan(&self, namespace: &str, job: JobId) -> Result<StageGraph, Error> {
        let record = self.get(namespace, job).await?;
        let graph = saved::load_graph(&*self.inner.store, job, record.run).await?;
        graph.ok_or_else(|| not_planned(&record))
    }
}

pub(super) fn not_planned(record: &JobRecord) -> Error {
    let state = metrics::state_name(record.state);
    Error::Conflict(format!("there is no plan: the job is {state} and has not been planned"))
}

/// A plan as JSON shows it.
#[must_use]
pub fn plan_view(graph: &StageGraph) -> JobPlan {
    let stage = |(number, stage): (usize, &api::task::Stage)| PlanStage {
        stage: u32::try_from(number).unwrap_or(u32::MAX),
        tasks: stage.partitions,
        outputs: stage.output_partitions,
        inputs: stage.inputs.clone(),
        deterministic: stage.deterministic,
        plan: stage.display.trim_end().to_owned(),
    };
    JobPlan {
        stages: graph.stages.iter().enumerate().map(stage).collect(),
        columns: graph.columns.clone(),
        output: graph.output.clone(),
    }
}

/// What a plan would cost.
#[must_use]
pub(super) fn dry_run_view(graph: &StageGraph) -> DryRun {
    let scans = graph.stages.iter().filter(|stage| stage.inputs.is_empty());
    DryRun {
        plan: plan_view(graph),
        estimate: Estimate {
            tasks: graph.stages.iter().map(|stage| u64::from(stage.partitions)).sum(),
            scans: scans.map(|stage| u64::from(stage.partitions)).sum(),
            blobs: graph
                .stages
                .iter()
                .flat_map(|stage| &stage.blobs)
                .map(|blobs| blobs.len() as u64)
                .sum(),
        },
    }
}
