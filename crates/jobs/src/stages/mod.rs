//! The running graph of one job: which tasks may start, whose output is there, and what a lost output costs.

mod lineage;
mod pick;
mod restore;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;

use api::job::Column;
use api::task::{Producer, Stage, StageGraph, StageOutputs};

use crate::graph::{InvalidGraph, consumers};
use crate::pending::Pending;
use crate::save::{CHUNK_TASKS, DoneRecord};
use crate::task::{Live, State, Task};
use crate::worker::Life;
use crate::{Millis, Policy, attempt};

pub(crate) use pick::Candidate;

/// A planned job.
#[derive(Debug)]
pub(crate) struct Stages {
    pub(crate) graph: Arc<StageGraph>,
    stages: Vec<StageRun>,
    /// For each stage the stages that read it.
    consumers: Vec<Vec<usize>>,
    /// The term attempts of this leader belong to.
    term: u32,
    /// Version of the job that must be durable before stages that were started again whole may start.
    hold: u64,
    /// Chunks of tasks that changed since somebody asked.
    touched: BTreeSet<(u32, u32)>,
    /// Stages were started again whole since somebody asked.
    restarted: bool,
}

#[derive(Debug)]
struct StageRun {
    tasks: Vec<Task>,
    /// Partitions whose output is there.
    done: BTreeSet<u32>,
    /// Partitions to be started.
    pending: Pending,
    /// Partitions a worker has.
    running: BTreeSet<u32>,
    /// Attempts below this number do not count.
    floor: u32,
    /// Whether it waits for [`Stages::hold`].
    held: bool,
    /// For each partition the host that holds most of the blobs it reads.
    homes: Vec<Option<Arc<str>>>,
    /// How long tasks took, milliseconds; the latest ones.
    durations: Vec<Millis>,
}

/// Durations remembered of a stage.
const DURATIONS: usize = 512;

impl StageRun {
    fn new(partitions: u32, base: u32, now: Millis) -> Self {
        let mut pending = Pending::default();
        (0..partitions).for_each(|partition| pending.add(partition, now));
        Self {
            tasks: (0..partitions).map(|_| Task::new(now, base)).collect(),
            done: BTreeSet::new(),
            pending,
            running: BTreeSet::new(),
            floor: 0,
            held: false,
            homes: Vec::new(),
            durations: Vec::new(),
        }
    }

    fn is_complete(&self) -> bool {
        self.done.len() == self.tasks.len()
    }

    /// Whether it still reads its inputs, now or soon.
    fn is_reading(&self) -> bool {
        !self.pending.is_empty() || !self.running.is_empty()
    }

    /// Whether outputs are gone that nobody has asked for again.
    fn has_lost(&self) -> bool {
        self.done.len() + self.pending.len() + self.running.len() < self.tasks.len()
    }
}

impl Stages {
    pub(crate) fn new(graph: StageGraph, term: u32, now: Millis, policy: &Policy) -> Result<Self, InvalidGraph> {
        let consumers = consumers(&graph, policy.max_tasks)?;
        let begin = |stage: &Stage| StageRun::new(stage.partitions, attempt::base(term), now);
        Ok(Self {
            stages: graph.stages.iter().map(begin).collect(),
            graph: Arc::new(graph),
            consumers,
            term,
            hold: 0,
            touched: BTreeSet::new(),
            restarted: false,
        })
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.graph.columns
    }

    pub(crate) fn plan(&self, stage: u32) -> Option<&bytes::Bytes> {
        self.graph.stages.get(stage as usize).map(|s| &s.plan)
    }

    pub(crate) fn task(&self, stage: u32, partition: u32) -> Option<&Task> {
        self.stages.get(stage as usize)?.tasks.get(partition as usize)
    }

    /// A task that is about to change.
    pub(crate) fn task_mut(&mut self, stage: u32, partition: u32) -> Option<&mut Task> {
        let task = self.stages.get_mut(stage as usize)?.tasks.get_mut(partition as usize)?;
        self.touched.insert((stage, partition / CHUNK_TASKS));
        Some(task)
    }

    /// A running attempt, to note how far it is. Nothing that must be durable.
    pub(crate) fn live_mut(&mut self, stage: u32, partition: u32, attempt: u32) -> Option<&mut Live> {
        let task = self.stages.get_mut(stage as usize)?.tasks.get_mut(partition as usize)?;
        task.live_mut(attempt)
    }

    pub(crate) fn is_last(&self, stage: u32) -> bool {
        stage as usize + 1 == self.stages.len()
    }

    pub(crate) fn partitions(&self, stage: u32) -> u32 {
        self.graph.stages.get(stage as usize).map_or(0, |s| s.partitions)
    }

    pub(crate) fn reads(&self, stage: u32, input: u32) -> bool {
        self.graph
            .stages
            .get(stage as usize)
            .is_some_and(|s| s.inputs.contains(&input))
    }

    /// Numbers of this leader's attempts end here.
    pub(crate) const fn limit(&self) -> u32 {
        attempt::limit(self.term)
    }

    /// What changed since the last call: chunks of tasks, and whether stages were started again whole.
    pub(crate) fn take_changes(&mut self) -> (BTreeSet<(u32, u32)>, bool) {
        (std::mem::take(&mut self.touched), std::mem::take(&mut self.restarted))
    }

    /// Stages that were started again whole wait until `version` is durable.
    pub(crate) fn hold_until(&mut self, version: u64) {
        self.hold = version;
    }

    /// All up to `version` is durable.
    pub(crate) fn saved(&mut self, version: u64) {
        if self.hold <= version && !self.restarted {
            self.stages.iter_mut().for_each(|stage| stage.held = false);
        }
    }

    /// Starts an attempt and says where its inputs are.
    pub(crate) fn start(
        &mut self,
        stage: u32,
        partition: u32,
        run: u32,
        on: Life,
        now: Millis,
    ) -> Option<(u32, Vec<StageOutputs>)> {
        let inputs = self.inputs_of(stage)?;
        let attempt = self.task_mut(stage, partition)?.start(run, on, now);
        self.now_running(stage, partition);
        Some((attempt, inputs))
    }

    fn inputs_of(&self, stage: u32) -> Option<Vec<StageOutputs>> {
        let inputs = &self.graph.stages.get(stage as usize)?.inputs;
        Some(inputs.iter().map(|input| self.outputs(*input)).collect())
    }

    fn now_running(&mut self, stage: u32, partition: u32) {
        if let Some(target) = self.stages.get_mut(stage as usize) {
            target.pending.remove(partition);
            target.running.insert(partition);
        }
    }

    /// Whether an attempt that an earlier leader gave out may still count.
    pub(crate) fn is_adoptable(&self, stage: u32, partition: u32, number: u32) -> bool {
        let Some(target) = self.stages.get(stage as usize) else {
            return false;
        };
        let open = |task: &Task| match &task.state {
            State::Pending { .. } => true,
            State::Running(all) => all.len() < 2,
            State::Done(_) | State::Lost => false,
        };
        number >= target.floor && number < attempt::base(self.term) && target.tasks.get(partition as usize).is_some_and(open)
    }

    /// Takes in an attempt that an earlier leader gave out.
    pub(crate) fn adopt(&mut self, stage: u32, partition: u32, attempt: u32, on: Life, now: Millis) {
        if let Some(task) = self.task_mut(stage, partition) {
            task.adopt(attempt, on, now);
            self.now_running(stage, partition);
        }
    }

    fn outputs(&self, stage: u32) -> StageOutputs {
        let producer = |task: &Task| match &task.state {
            State::Done(done) => Some(Producer {
                attempt: done.attempt,
                address: done.address.clone(),
            }),
            _ => None,
        };
        StageOutputs {
            stage,
            producers: self.stages[stage as usize].tasks.iter().filter_map(producer).collect(),
        }
    }

    /// Takes the output of a running attempt.
    pub(crate) fn complete(&mut self, stage: u32, partition: u32, done: DoneRecord, now: Millis) {
        let Some(task) = self.task_mut(stage, partition) else { return };
        let since = task
            .live()
            .iter()
            .find(|live| live.attempt == done.attempt)
            .map(|live| live.since);
        task.complete(done, now);
        let target = &mut self.stages[stage as usize];
        target.running.remove(&partition);
        target.pending.remove(partition);
        target.done.insert(partition);
        if let Some(since) = since {
            if target.durations.len() == DURATIONS {
                target.durations.remove(0);
            }
            target.durations.push(now.saturating_sub(since));
        }
    }

    /// Puts a task back among those to be started, and takes it from whoever runs it.
    pub(crate) fn reopen(&mut self, stage: u32, partition: u32, from: Millis, now: Millis) {
        let Some(task) = self.task_mut(stage, partition) else { return };
        task.reopen(from, now);
        let target = &mut self.stages[stage as usize];
        target.done.remove(&partition);
        target.running.remove(&partition);
        target.pending.add(partition, from);
    }

    /// Tasks with attempts on one life of a worker, with those attempts.
    pub(crate) fn running_on(&self, life: &Life) -> Vec<(u32, u32, u32)> {
        let mut found = Vec::new();
        for (number, stage) in self.stages.iter().enumerate() {
            for partition in &stage.running {
                let lives = stage.tasks[*partition as usize].live().iter();
                let here = lives.filter(|live| live.on == *life);
                found.extend(here.map(|live| (to_u32(number), *partition, live.attempt)));
            }
        }
        found
    }

    /// Attempts that workers have in hand.
    pub(crate) fn in_hand(&self) -> usize {
        let of_stage = |stage: &StageRun| -> usize { stage.running.iter().map(|p| stage.tasks[*p as usize].live().len()).sum() };
        self.stages.iter().map(of_stage).sum()
    }
}

/// Counts here are bounded by `Policy::max_tasks`.
fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
