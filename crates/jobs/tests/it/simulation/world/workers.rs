//! What workers do: ask for work, compute, lose files, and report.

use api::task::{Assignment, Outcome, PollRequest, StageOutputs, TaskFailure, TaskId, WorkId};
use api::{ErrorCode, JobId};
use jobs::{Heard, Policy};

use super::super::checks::Lineage;
use super::{Job, STEP, SimWorker, World};
use crate::bench::done;

impl World {
    /// Ends the work whose time has come.
    pub(super) fn work(&mut self, index: usize) {
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
        if self.chaos(8) {
            return Outcome::Failed(TaskFailure::OutOfMemory("no memory".to_owned()));
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

    pub(super) fn send_reports(&mut self, index: usize) {
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
                    outcome: outcome.clone(),
                    wasted: api::job::Cost::default(),
                },
            );
            self.obey(Some(work));
            if matches!(answer, Heard::Taken | Heard::Later) {
                self.workers[index].outgoing.push((now + 500, work, outcome));
            }
            if answer == Heard::Forget {
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

    pub(super) fn poll(&mut self, index: usize) {
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
            progress: Vec::new(),
            memory_limit: 0,
            memory_used: 0,
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
            let slow = if self.chaos(60) { 300 } else { 30 };
            let until = self.now + self.random.between(0, slow) * STEP;
            let work = assignment.work();
            let busy = self.workers[index].running.len();
            assert!(
                !matches!(assignment, Assignment::Run { alone: true, .. }) || busy == 0,
                "seed {}: {work:?} is not alone",
                self.seed
            );
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
}
