//! The graph seen from outside: how far it is, what it gave, and what of it is to be made durable.

use api::job::{Progress, Ratio};
use api::task::ResultPart;

use super::{StageRun, Stages, to_u32};
use crate::save::{CHUNK_TASKS, TaskChunk};
use crate::task::State;

impl Stages {
    /// Whether the result is whole.
    pub(crate) fn is_complete(&self) -> bool {
        self.stages.last().is_some_and(StageRun::is_complete)
    }

    /// The winning output of each partition of the last stage, with its rows.
    pub(crate) fn result(&self) -> Vec<(ResultPart, u64)> {
        let part = |task: &crate::task::Task| match &task.state {
            State::Done(done) => Some((done.output.result.clone()?, done.output.rows)),
            _ => None,
        };
        self.stages
            .last()
            .map(|last| last.tasks.iter().filter_map(part).collect())
            .unwrap_or_default()
    }

    pub(crate) fn progress(&self) -> Progress {
        let mut progress = Progress {
            stages: Ratio {
                done: 0,
                total: to_u32(self.stages.len()),
            },
            ..Progress::default()
        };
        for stage in &self.stages {
            progress.stages.done += u32::from(stage.is_complete());
            progress.tasks.done += to_u32(stage.done.len());
            progress.tasks.total += to_u32(stage.tasks.len());
            for task in &stage.tasks {
                progress.retries += task.retries();
                progress.running += to_u32(task.live().len());
                if let State::Done(done) = &task.state {
                    progress.rows += done.output.rows;
                    progress.bytes += done.output.bytes;
                    progress.spilled_bytes += done.output.cost.bytes_spilled;
                }
                // Of twins, the one that is further.
                if let Some(most) = task.live().iter().map(|live| live.progress).max_by_key(|p| p.rows) {
                    progress.rows += most.rows;
                    progress.bytes += most.bytes;
                    progress.spilled_bytes += most.spilled_bytes;
                }
            }
        }
        progress
    }

    /// A chunk of tasks as it is made durable.
    pub(crate) fn chunk(&self, stage: u32, index: u32) -> Option<TaskChunk> {
        let target = self.stages.get(stage as usize)?;
        let from = (index * CHUNK_TASKS) as usize;
        let to = (from + CHUNK_TASKS as usize).min(target.tasks.len());
        let tasks = target.tasks.get(from..to)?.iter().enumerate();
        let floors = self.stages.iter().enumerate().filter(|(_, stage)| stage.floor > 0);
        Some(TaskChunk {
            stage,
            index,
            floors: floors.map(|(number, stage)| (to_u32(number), stage.floor)).collect(),
            tasks: tasks
                .filter_map(|(offset, task)| task.record(to_u32(from + offset)))
                .collect(),
        })
    }

    /// Everything that is known of its tasks.
    pub(crate) fn chunks(&self) -> Vec<TaskChunk> {
        let of_stage =
            |stage: u32| (0..self.partitions(stage).div_ceil(CHUNK_TASKS)).filter_map(move |index| self.chunk(stage, index));
        (0..to_u32(self.stages.len())).flat_map(of_stage).collect()
    }

    /// Outputs that lie on workers, by the lives that hold them.
    pub(crate) fn holders(&self) -> impl Iterator<Item = crate::worker::Life> + '_ {
        let last = self.stages.len().saturating_sub(1);
        let of_stage = |stage: &'_ StageRun| {
            let life = |task: &crate::task::Task| match &task.state {
                State::Done(done) => Some(crate::worker::Life {
                    worker: done.worker.clone(),
                    boot: done.boot,
                }),
                _ => None,
            };
            stage.tasks.iter().filter_map(life).collect::<Vec<_>>()
        };
        self.stages[..last].iter().flat_map(of_stage)
    }
}
