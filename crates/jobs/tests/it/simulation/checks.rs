//! What must never happen, checked while the world turns.

use std::collections::{BTreeMap, BTreeSet};

use api::JobId;
use api::job::JobState;
use api::task::{ResultPart, StageGraph, TaskId};
use jobs::{Ending, Millis};

/// Attempts of the stages that are not deterministic, by partition, which some rows were made from.
pub(crate) type Lineage = BTreeMap<(u32, u32), u32>;

/// Everything ever computed, and what the scheduler took of it.
#[derive(Default)]
pub(crate) struct Checks {
    pub(crate) graphs: BTreeMap<JobId, StageGraph>,
    /// What each attempt was made from.
    pub(crate) made: BTreeMap<TaskId, Lineage>,
    /// Attempts the scheduler took, when.
    accepted: BTreeMap<(JobId, u32, u32), (TaskId, Millis)>,
    /// Outputs that some reader could not fetch.
    pub(crate) blamed: BTreeSet<TaskId>,
    pub(crate) endings: BTreeMap<JobId, JobState>,
}

impl Checks {
    pub(crate) fn accept(&mut self, task: TaskId, now: Millis) {
        self.accepted.insert((task.job, task.stage, task.partition), (task, now));
    }

    /// A new leader knows what was durable: these attempts, and no others.
    pub(crate) fn leader_changed(&mut self, durable: &[(JobId, u32, u32, u32)]) {
        let endings = &self.endings;
        self.accepted.retain(|(job, stage, partition), (task, _)| {
            endings.contains_key(job) || durable.contains(&(*job, *stage, *partition, task.attempt))
        });
    }

    /// Done work is not done again while its output is there; `healthy` tells whether a worker still has it, unsuspected since.
    pub(crate) fn started(&self, task: TaskId, seed: u64, healthy: impl Fn(&TaskId, Millis) -> bool) {
        assert!(
            !self.endings.contains_key(&task.job),
            "seed {seed}: {task} was started after the end of its job"
        );
        let Some((before, when)) = self.accepted.get(&(task.job, task.stage, task.partition)) else {
            return;
        };
        assert!(
            before.attempt < task.attempt,
            "seed {seed}: attempt of {task} was used before"
        );
        let excused =
            before.run() != task.run() || self.blamed.contains(before) || self.depends_on_chance(task) || !healthy(before, *when);
        assert!(
            excused,
            "seed {seed}: {task} was done as attempt {} and runs again",
            before.attempt
        );
    }

    fn depends_on_chance(&self, task: TaskId) -> bool {
        let stages = &self.graphs[&task.job].stages;
        let mut open = vec![task.stage];
        while let Some(stage) = open.pop() {
            if !stages[stage as usize].deterministic {
                return true;
            }
            open.extend(&stages[stage as usize].inputs);
        }
        false
    }

    pub(crate) fn end(&mut self, ending: &Ending, seed: u64) {
        let (job, state) = (ending.record.id, ending.record.state);
        assert!(state.is_final() && ending.record.finished_at_ms.is_some());
        assert!(self.endings.insert(job, state).is_none(), "seed {seed}: {job} ended twice");
        if state == JobState::Succeeded {
            self.result(ending, seed);
        } else {
            assert!(ending.parts.is_empty());
            assert_eq!(state == JobState::Failed, ending.record.error.is_some());
        }
    }

    fn result(&self, ending: &Ending, seed: u64) {
        let job = ending.record.id;
        let last = self.graphs[&job].stages.len() - 1;
        assert_eq!(
            ending.parts.len(),
            self.graphs[&job].stages[last].partitions as usize,
            "seed {seed}: {job} has gaps"
        );
        let mut lineage = Lineage::new();
        for (partition, part) in ending.parts.iter().enumerate() {
            let task = attempt_named_in(part, job);
            assert_eq!(
                (task.stage as usize, task.partition as usize),
                (last, partition),
                "seed {seed}"
            );
            assert_eq!(
                self.accepted[&(job, task.stage, task.partition)].0,
                task,
                "seed {seed}: a loser was committed"
            );
            for (place, attempt) in &self.made[&task] {
                let other = *lineage.entry(*place).or_insert(*attempt);
                assert_eq!(other, *attempt, "seed {seed}: {job} mixes two runs of {place:?}");
            }
        }
    }
}

fn attempt_named_in(part: &ResultPart, job: JobId) -> TaskId {
    let ResultPart::Inline(name) = part else {
        panic!("results here are inline")
    };
    let numbers: Vec<u32> = std::str::from_utf8(name)
        .unwrap()
        .split('/')
        .map(|n| n.parse().unwrap())
        .collect();
    TaskId {
        job,
        stage: numbers[0],
        partition: numbers[1],
        attempt: numbers[2],
    }
}
