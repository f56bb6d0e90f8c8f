//! Workers, a network and a clock, all driven by one seed.

mod leaders;
mod workers;

use std::collections::{BTreeMap, BTreeSet};

use api::job::JobState;
use api::task::{Outcome, StageGraph, StageOutputs, TaskId, WorkId};
use api::{BootId, JobId, NodeId};
use jobs::{Command, Ending, JobRecord, Millis, Policy, Scheduler, TaskResult};

use leaders::{Durable, Flight};

use super::checks::Checks;
use super::random::Random;
use crate::bench::{graph, job_id, spec, stage};

const STEP: Millis = 100;
const CALM_WITHIN: Millis = 900_000;

struct Job {
    work: WorkId,
    inputs: Vec<StageOutputs>,
    until: Millis,
}

struct SimWorker {
    id: NodeId,
    boot: BootId,
    slots: u32,
    /// Down or stalled until then; a crash empties the rest.
    away_until: Millis,
    running: Vec<Job>,
    disk: BTreeSet<TaskId>,
    next_poll: Millis,
    contact: Millis,
    /// Last time it was silent long enough to be taken for lost.
    suspected: Millis,
    /// Reports to be sent, and when.
    outgoing: Vec<(Millis, WorkId, Outcome)>,
}

pub(crate) struct World {
    seed: u64,
    random: Random,
    now: Millis,
    calm_from: Millis,
    scheduler: Scheduler,
    workers: Vec<SimWorker>,
    /// Ends on their way to the disk.
    finishing: Vec<(Millis, Box<Ending>)>,
    /// What a new leader finds.
    durable: BTreeMap<JobId, Durable>,
    /// Jobs with something to be saved.
    dirty: BTreeSet<JobId>,
    /// Saves on their way to the disk.
    saving: BTreeMap<JobId, Flight>,
    pub(crate) leaders: usize,
    pub(crate) twins: usize,
    checks: Checks,
    submissions: BTreeMap<Millis, u64>,
    jobs: usize,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let worker = |n: u64, slots: u64| SimWorker {
            id: NodeId::try_new(format!("w{n}")).unwrap(),
            boot: BootId::new_random(),
            slots: slots as u32,
            away_until: 0,
            running: Vec::new(),
            disk: BTreeSet::new(),
            next_poll: 0,
            contact: 0,
            suspected: 0,
            outgoing: Vec::new(),
        };
        let workers = (0..random.between(1, 4)).map(|n| worker(n, random.between(1, 3))).collect();
        let submissions: BTreeMap<_, _> = (1..=random.between(1, 5))
            .map(|n| (random.between(0, 200) * STEP, n))
            .collect();
        let calm_from = random.between(20, 120) * 1_000;
        let scheduler = Scheduler::new(
            Policy {
                max_active: 3,
                ..Policy::default()
            },
            0,
        );
        let jobs = submissions.len();
        let (finishing, checks) = (Vec::new(), Checks::default());
        let (durable, dirty, saving) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self {
            seed,
            random,
            now: 0,
            calm_from,
            scheduler,
            workers,
            finishing,
            durable,
            dirty,
            saving,
            leaders: 1,
            twins: 0,
            checks,
            submissions,
            jobs,
        }
    }

    pub(crate) fn succeeded(&self) -> usize {
        self.checks
            .endings
            .values()
            .filter(|state| **state == JobState::Succeeded)
            .count()
    }

    pub(crate) fn ended(&self) -> usize {
        self.checks.endings.len()
    }

    /// Runs until all jobs have ended.
    pub(crate) fn run(&mut self) {
        while self.scheduler.live_jobs() > 0 || !self.submissions.is_empty() {
            self.now += STEP;
            assert!(
                self.now < self.calm_from + CALM_WITHIN,
                "seed {}: some job never ends",
                self.seed
            );
            self.submit();
            self.fault();
            self.change_leader();
            for index in 0..self.workers.len() {
                if self.workers[index].away_until <= self.now {
                    self.work(index);
                    self.send_reports(index);
                    self.poll(index);
                }
            }
            self.scheduler.tick(self.now);
            self.obey(None);
            self.save();
        }
        assert_eq!(self.ended(), self.jobs, "seed {}", self.seed);
    }

    fn chaos(&mut self, per_mille: u64) -> bool {
        self.now < self.calm_from && self.random.chance(per_mille)
    }

    fn submit(&mut self) {
        let Some(n) = self
            .submissions
            .first_entry()
            .filter(|s| *s.key() <= self.now)
            .map(|s| s.remove())
        else {
            return;
        };
        let mut spec = spec();
        spec.priority = self.random.between(0, 1) as i32;
        let record = JobRecord::new(job_id(n), spec, self.now);
        self.durable.insert(job_id(n), Durable::new(record.clone()));
        self.scheduler.submit(self.now, record);
        let planned = self.random_graph();
        self.checks.graphs.insert(job_id(n), planned);
    }

    fn random_graph(&mut self) -> StageGraph {
        let count = self.random.between(1, 5) as u32;
        let mut stages = Vec::new();
        for number in 0..count {
            let mut inputs: BTreeSet<u32> = (0..number).filter(|_| self.random.chance(300)).collect();
            // What nobody has read so far is read by the next stage, so that all is read in the end.
            inputs.extend(number.checked_sub(1));
            let mut one = stage(self.random.between(1, 5) as u32, &inputs.into_iter().collect::<Vec<_>>());
            one.deterministic = !self.random.chance(200);
            stages.push(one);
        }
        graph(stages)
    }

    fn fault(&mut self) {
        for index in 0..self.workers.len() {
            if self.chaos(3) {
                let back = self.now + self.random.between(0, 30_000);
                let worker = &mut self.workers[index];
                worker.away_until = back;
                if self.random.chance(500) {
                    worker.boot = BootId::new_random();
                    worker.running.clear();
                    worker.disk.clear();
                    worker.outgoing.clear();
                }
            }
            if self.chaos(2) {
                self.workers[index].disk.pop_first();
            }
        }
        if self.chaos(1) {
            let job = job_id(self.random.between(1, 5));
            self.scheduler.cancel(self.now, job).ok();
            self.obey(None);
        }
    }

    fn obey(&mut self, reported: Option<WorkId>) {
        for command in self.scheduler.drain() {
            match (command, reported) {
                (Command::TaskEnded(TaskResult::Done), Some(WorkId::Task(task))) => self.checks.accept(task, self.now),
                (Command::Finish(ending), _) => {
                    let durable = self.now + self.random.between(0, 5) * STEP;
                    self.finishing.push((durable, ending));
                }
                (Command::Persist(job), _) => drop(self.dirty.insert(job)),
                (Command::TwinStarted, _) => self.twins += 1,
                _ => {}
            }
        }
        self.end_what_is_durable();
    }
}
