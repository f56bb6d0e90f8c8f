//! Workers, a network and a clock, all driven by one seed.

use std::collections::{BTreeMap, BTreeSet};

use api::job::JobState;
use api::task::{Assignment, Outcome, PollRequest, StageGraph, StageOutputs, TaskFailure, TaskId, WorkId};
use api::{BootId, ErrorCode, JobId, NodeId};
use jobs::{Command, JobRecord, Millis, Policy, Scheduler, TaskResult};

use super::checks::{Checks, Lineage};
use super::random::Random;
use crate::bench::{done, graph, job_id, spec, stage};

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
    finishing: Vec<(Millis, JobId)>,
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
        Self {
            seed,
            random,
            now: 0,
            calm_from,
            scheduler,
            workers,
            finishing,
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
            for index in 0..self.workers.len() {
                if self.workers[index].away_until <= self.now {
                    self.work(index);
                    self.send_reports(index);
                    self.poll(index);
                }
            }
            self.scheduler.tick(self.now);
            self.obey(None);
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
        self.scheduler.submit(self.now, JobRecord::new(job_id(n), spec, self.now));
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

    /// Ends the work whose time has come.
    fn work(&mut self, index: usize) {
        let now = self.now;
        let (ended, running) = std::mem::take(&mut self.workers[index].running)
            .into_iter()
            .partition(|job| job.until <= now);
        self.workers[index].running = running;
        let ended: Vec<Job> = ended;
        for job in ended {
            let outcome = match job.work {
                WorkId::Plan(id, _) => Outcome::Planned(self.checks.graphs[&id].clone()),
                WorkId::Task(task) => self.compute(index, task, &job.inputs),
            };
            let at = self.now + if self.chaos(200) { self.random.between(0, 15_000) } else { 0 };
            self.workers[index].outgoing.push((at, job.work, outcome));
        }
    }

    fn compute(&mut self, index: usize, task: TaskId, inputs: &[StageOutputs]) -> Outcome {
        if self.chaos(30) {
            return Outcome::Failed(TaskFailure::Retryable("bad luck".to_owned()));
        }
        if self.chaos(2) {
            return Outcome::Failed(TaskFailure::User {
                code: ErrorCode::InvalidArgument,
                detail: "division by zero".to_owned(),
            });
        }
        let mut lineage = Lineage::new();
        for input in inputs {
            let expected = self.checks.graphs[&task.job].stages[input.stage as usize].partitions;
            assert_eq!(
                input.producers.len(),
                expected as usize,
                "seed {}: {task} was started with gaps",
                self.seed
            );
            for (partition, producer) in input.producers.iter().enumerate() {
                let file = TaskId {
                    job: task.job,
                    stage: input.stage,
                    partition: partition as u32,
                    attempt: producer.attempt,
                };
                let holder = self
                    .workers
                    .iter()
                    .find(|w| producer.address == format!("{}:1", w.id))
                    .expect("a known address");
                let there = holder.away_until <= self.now && holder.disk.contains(&file);
                if !there || self.chaos(2) {
                    self.checks.blamed.insert(file);
                    let TaskId {
                        stage,
                        partition,
                        attempt,
                        ..
                    } = file;
                    return Outcome::Failed(TaskFailure::Fetch {
                        stage,
                        partition,
                        attempt,
                        detail: "404".to_owned(),
                    });
                }
                for (place, attempt) in &self.checks.made[&file] {
                    let other = *lineage.entry(*place).or_insert(*attempt);
                    // A mix is possible in an attempt that is doomed; one that wins is checked at the end.
                    if other != *attempt {
                        lineage.insert((u32::MAX, u32::MAX), task.attempt);
                        lineage.insert((u32::MAX, 0), *attempt);
                    }
                }
            }
        }
        assert!(
            !lineage.contains_key(&(u32::MAX, u32::MAX)),
            "seed {}: {task} read two runs of one stage",
            self.seed
        );
        if !self.checks.graphs[&task.job].stages[task.stage as usize].deterministic {
            lineage.insert((task.stage, task.partition), task.attempt);
        }
        self.checks.made.insert(task, lineage);
        self.workers[index].disk.insert(task);
        done(task)
    }

    fn contact(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        if worker.contact + Policy::default().worker_timeout <= self.now {
            worker.suspected = self.now;
        }
        worker.contact = self.now;
    }

    fn send_reports(&mut self, index: usize) {
        let now = self.now;
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.workers[index].outgoing)
            .into_iter()
            .partition(|(at, ..)| *at <= now);
        self.workers[index].outgoing = later;
        for (_, work, outcome) in due {
            if self.chaos(100) {
                // Lost on the way, or its answer is: sent again later.
                self.workers[index].outgoing.push((now + 1_000, work, outcome.clone()));
                if self.random.chance(500) {
                    continue;
                }
            }
            self.contact(index);
            let (worker, boot_id) = (self.workers[index].id.clone(), self.workers[index].boot);
            let answer = self.scheduler.report(
                now,
                api::task::Report {
                    worker,
                    boot_id,
                    work,
                    outcome,
                },
            );
            assert!(answer.durable);
            self.obey(Some(work));
            if answer.forget {
                self.forget(index, work.job());
            }
        }
    }

    fn forget(&mut self, index: usize, job: JobId) {
        assert!(
            self.checks.endings.contains_key(&job),
            "seed {}: files of a live job were thrown away",
            self.seed
        );
        self.workers[index].disk.retain(|file| file.job != job);
    }

    fn poll(&mut self, index: usize) {
        if self.workers[index].next_poll > self.now {
            return;
        }
        self.contact(index);
        let worker = &self.workers[index];
        let id = worker.id.clone();
        let poll = PollRequest {
            worker: id.clone(),
            boot_id: worker.boot,
            address: format!("{id}:1"),
            slots: worker.slots,
            running: worker.running.iter().map(|job| job.work).collect(),
            wait_ms: 0,
        };
        self.scheduler.poll(self.now, &poll);
        let response = self.scheduler.answer(self.now, &id);
        self.obey(None);
        for assignment in &response.start {
            if let WorkId::Task(task) = assignment.work() {
                self.check_start(task);
            }
        }
        self.workers[index].next_poll = self.now + self.random.between(1, 10) * STEP;
        if self.chaos(50) {
            let lost: Vec<WorkId> = response.start.iter().map(Assignment::work).collect();
            if self.random.chance(500) {
                self.scheduler.undelivered(self.now, &id, &lost);
                self.obey(None);
            }
            return;
        }
        for assignment in response.start {
            let until = self.now + self.random.between(0, 30) * STEP;
            let work = assignment.work();
            let inputs = if let Assignment::Run { inputs, .. } = assignment {
                inputs
            } else {
                Vec::new()
            };
            self.workers[index].running.push(Job { work, inputs, until });
        }
        let worker = &mut self.workers[index];
        assert!(
            worker.running.len() <= worker.slots as usize,
            "seed {}: slots of {id} exceeded",
            self.seed
        );
        worker.running.retain(|job| !response.cancel.contains(&job.work));
        for job in response.forget {
            self.forget(index, job);
        }
    }

    fn check_start(&self, task: TaskId) {
        let silent = |worker: &SimWorker| worker.contact + Policy::default().worker_timeout <= self.now;
        let has =
            |worker: &SimWorker, file: &TaskId, when| worker.disk.contains(file) && worker.suspected <= when && !silent(worker);
        let is_last = |file: &TaskId| self.checks.graphs[&file.job].stages.len() == file.stage as usize + 1;
        let healthy = |file: &TaskId, when| is_last(file) || self.workers.iter().any(|worker| has(worker, file, when));
        self.checks.started(task, self.seed, healthy);
    }

    fn obey(&mut self, reported: Option<WorkId>) {
        for command in self.scheduler.drain() {
            match (command, reported) {
                (Command::TaskEnded(TaskResult::Done), Some(WorkId::Task(task))) => self.checks.accept(task, self.now),
                (Command::Finish(ending), _) => {
                    self.checks.end(&ending, self.seed);
                    let durable = self.now + self.random.between(0, 5) * STEP;
                    self.finishing.push((durable, ending.record.id));
                }
                (Command::Persist(_) | Command::Planned { .. } | Command::TaskEnded(_), _) => {}
            }
        }
        let now = self.now;
        self.finishing.retain(|(at, job)| {
            if *at <= now {
                self.scheduler.finished(now, *job);
            }
            *at > now
        });
    }
}
