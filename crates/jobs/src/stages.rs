//! The running graph of one job: which tasks may start, whose output is there, and what a lost output costs.
//!
//! Recomputation follows lineage, as in Zaharia et al., "Resilient Distributed Datasets" (NSDI 2012), section 5.4: only lost
//! partitions that somebody still reads run again. A stage that is not deterministic is the exception: a second run would
//! disagree with what its readers already took, so it runs again whole, and with it everything downstream.

use std::collections::BTreeSet;

use api::NodeId;
use api::job::{Column, Progress, Ratio};
use api::task::{Producer, ResultPart, Stage, StageGraph, StageOutputs, TaskOutput};

use crate::graph::{InvalidGraph, consumers};
use crate::task::{State, Task};
use crate::worker::Life;
use crate::{Millis, Policy};

/// A planned job.
#[derive(Debug)]
pub(crate) struct Stages {
    pub(crate) columns: Vec<Column>,
    stages: Vec<StageRun>,
    /// For each stage the stages that read it.
    consumers: Vec<Vec<usize>>,
}

#[derive(Debug)]
struct StageRun {
    stage: Stage,
    tasks: Vec<Task>,
    /// Partitions whose output is there.
    done: BTreeSet<u32>,
    /// Partitions to be started.
    pending: BTreeSet<u32>,
    /// Partitions a worker has.
    running: BTreeSet<u32>,
}

impl StageRun {
    fn is_complete(&self) -> bool {
        self.done.len() == self.tasks.len()
    }

    /// Whether it still reads its inputs, now or soon.
    fn is_reading(&self) -> bool {
        !self.pending.is_empty() || !self.running.is_empty()
    }
}

impl Stages {
    pub(crate) fn new(graph: StageGraph, now: Millis, policy: &Policy) -> Result<Self, InvalidGraph> {
        let consumers = consumers(&graph, policy.max_tasks)?;
        let begin = |stage: Stage| StageRun {
            tasks: (0..stage.partitions).map(|_| Task::new(now)).collect(),
            done: BTreeSet::new(),
            pending: (0..stage.partitions).collect(),
            running: BTreeSet::new(),
            stage,
        };
        Ok(Self {
            columns: graph.columns,
            stages: graph.stages.into_iter().map(begin).collect(),
            consumers,
        })
    }

    pub(crate) fn plan(&self, stage: u32) -> Option<&bytes::Bytes> {
        self.stages.get(stage as usize).map(|s| &s.stage.plan)
    }

    pub(crate) fn task(&self, stage: u32, partition: u32) -> Option<&Task> {
        self.stages.get(stage as usize)?.tasks.get(partition as usize)
    }

    pub(crate) fn task_mut(&mut self, stage: u32, partition: u32) -> Option<&mut Task> {
        self.stages.get_mut(stage as usize)?.tasks.get_mut(partition as usize)
    }

    pub(crate) fn is_last(&self, stage: u32) -> bool {
        stage as usize + 1 == self.stages.len()
    }

    pub(crate) fn partitions(&self, stage: u32) -> u32 {
        self.stages.get(stage as usize).map_or(0, |s| s.stage.partitions)
    }

    pub(crate) fn reads(&self, stage: u32, input: u32) -> bool {
        self.stages
            .get(stage as usize)
            .is_some_and(|s| s.stage.inputs.contains(&input))
    }

    /// A task that `worker` may start now: earlier stages first, since others wait for them.
    pub(crate) fn next_for(
        &self,
        now: Millis,
        worker: &NodeId,
        others: impl Fn(&BTreeSet<NodeId>) -> bool + Copy,
        policy: &Policy,
    ) -> Option<(u32, u32)> {
        self.stages
            .iter()
            .enumerate()
            .filter(|(_, s)| !s.pending.is_empty() && self.inputs_complete(s))
            .find_map(|(number, s)| {
                let may = |p: &&u32| s.tasks[**p as usize].may_start(now, worker, others, policy);
                s.pending.iter().find(may).map(|p| (to_u32(number), *p))
            })
    }

    fn inputs_complete(&self, stage: &StageRun) -> bool {
        stage
            .stage
            .inputs
            .iter()
            .all(|input| self.stages[*input as usize].is_complete())
    }

    /// Starts an attempt and says where its inputs are.
    pub(crate) fn start(&mut self, stage: u32, partition: u32, run: u32, on: Life) -> (u32, Vec<StageOutputs>) {
        let inputs = self.stages[stage as usize]
            .stage
            .inputs
            .iter()
            .map(|input| self.outputs(*input))
            .collect();
        let target = &mut self.stages[stage as usize];
        let attempt = target.tasks[partition as usize].start(run, on);
        target.pending.remove(&partition);
        target.running.insert(partition);
        (attempt, inputs)
    }

    fn outputs(&self, stage: u32) -> StageOutputs {
        let producer = |task: &Task| match &task.state {
            State::Done { attempt, address, .. } => Some(Producer {
                attempt: *attempt,
                address: address.clone(),
            }),
            _ => None,
        };
        StageOutputs {
            stage,
            producers: self.stages[stage as usize].tasks.iter().filter_map(producer).collect(),
        }
    }

    /// Takes the output of the running attempt.
    pub(crate) fn complete(&mut self, stage: u32, partition: u32, on: Life, address: String, output: TaskOutput) {
        let target = &mut self.stages[stage as usize];
        let task = &mut target.tasks[partition as usize];
        if let State::Running { attempt, .. } = task.state {
            task.state = State::Done {
                attempt,
                on,
                address,
                output,
            };
            target.running.remove(&partition);
            target.done.insert(partition);
        }
    }

    /// Puts a task back among those to be started.
    pub(crate) fn reopen(&mut self, stage: u32, partition: u32, from: Millis) {
        let target = &mut self.stages[stage as usize];
        target.tasks[partition as usize].state = State::Pending { from };
        target.done.remove(&partition);
        target.running.remove(&partition);
        target.pending.insert(partition);
    }

    /// Tasks that run on one life of a worker.
    pub(crate) fn running_on(&self, life: &Life) -> Vec<(u32, u32)> {
        let on_it = |task: &Task| matches!(&task.state, State::Running { on, .. } if on == life);
        self.positions(on_it)
    }

    /// Marks the outputs that a lost worker held. The last stage's are in our hands or are blobs: those stay.
    pub(crate) fn lose_outputs(&mut self, life: &Life) {
        for (stage, partition) in self.positions(|task| matches!(&task.state, State::Done { on, .. } if on == life)) {
            self.lose_output(stage, partition);
        }
    }

    /// Marks one output as gone.
    pub(crate) fn lose_output(&mut self, stage: u32, partition: u32) {
        if !self.is_last(stage) {
            let target = &mut self.stages[stage as usize];
            target.tasks[partition as usize].state = State::Lost;
            target.done.remove(&partition);
        }
    }

    fn positions(&self, wanted: impl Fn(&Task) -> bool) -> Vec<(u32, u32)> {
        let each = |(number, stage): (usize, &StageRun)| {
            let hits = stage
                .tasks
                .iter()
                .enumerate()
                .filter(|(_, t)| wanted(t))
                .map(|(p, _)| (to_u32(number), to_u32(p)));
            hits.collect::<Vec<_>>()
        };
        self.stages.iter().enumerate().flat_map(each).collect()
    }

    /// Reopens lost outputs that are still read, from the last stage to the first until nothing changes.
    pub(crate) fn recompute_lost(&mut self, now: Millis) {
        while let Some(stage) = (0..self.stages.len()).rev().find(|s| self.has_missed_outputs(*s)) {
            if self.stages[stage].stage.deterministic {
                for (number, partition) in self.positions(|t| matches!(t.state, State::Lost)) {
                    if number as usize == stage {
                        self.reopen(number, partition, now);
                    }
                }
            } else {
                self.restart_with_readers(stage, now);
            }
        }
    }

    fn has_missed_outputs(&self, stage: usize) -> bool {
        let target = &self.stages[stage];
        let lost = target.done.len() + target.pending.len() + target.running.len() < target.tasks.len();
        lost && self.consumers[stage]
            .iter()
            .any(|consumer| self.stages[*consumer].is_reading())
    }

    fn restart_with_readers(&mut self, stage: usize, now: Millis) {
        let mut affected = BTreeSet::from([stage]);
        let mut next = vec![stage];
        while let Some(one) = next.pop() {
            next.extend(
                self.consumers[one]
                    .iter()
                    .copied()
                    .filter(|consumer| affected.insert(*consumer)),
            );
        }
        for number in affected {
            for partition in 0..self.stages[number].stage.partitions {
                if !self.stages[number].pending.contains(&partition) {
                    self.reopen(to_u32(number), partition, now);
                }
            }
        }
    }

    /// Whether the result is whole.
    pub(crate) fn is_complete(&self) -> bool {
        self.stages.last().is_some_and(StageRun::is_complete)
    }

    /// The winning output of each partition of the last stage.
    pub(crate) fn result(&self) -> Vec<(ResultPart, u64)> {
        let part = |task: &Task| match &task.state {
            State::Done {
                output:
                    TaskOutput {
                        result: Some(part),
                        rows,
                        ..
                    },
                ..
            } => Some((part.clone(), *rows)),
            _ => None,
        };
        self.stages
            .last()
            .map(|last| last.tasks.iter().filter_map(part).collect())
            .unwrap_or_default()
    }

    pub(crate) fn progress(&self) -> Progress {
        let total = self.stages.iter().map(|s| s.stage.partitions).sum();
        let mut progress = Progress {
            stages: Ratio {
                done: 0,
                total: to_u32(self.stages.len()),
            },
            tasks: Ratio { done: 0, total },
            ..Progress::default()
        };
        for stage in &self.stages {
            progress.stages.done += u32::from(stage.is_complete());
            progress.tasks.done += to_u32(stage.done.len());
            for task in &stage.tasks {
                progress.retries += task.retries();
                if let State::Done { output, .. } = &task.state {
                    progress.rows += output.rows;
                    progress.bytes += output.bytes;
                }
            }
        }
        progress
    }
}

/// Counts here are bounded by `Policy::max_tasks`.
fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
