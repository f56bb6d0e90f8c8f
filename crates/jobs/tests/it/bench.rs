//! A scheduler with a clock, workers by name, and answers that are easy to assert.

use api::job::{Cost, JobSpec};
use api::task::{
    Assignment, Outcome, PollRequest, PollResponse, Report, ResultPart, Stage, StageGraph, StageOutputs, TaskFailure, TaskId,
    TaskOutput, WorkId,
};
use api::{BootId, JobId, NodeId};
use bytes::Bytes;
use jobs::{Command, Ending, Heard, JobRecord, Millis, Policy, Scheduler, TaskResult};

/// The `n`-th job; later ones are greater.
pub(crate) fn job_id(n: u64) -> JobId {
    format!("00000000-0000-7000-8000-{n:012}").parse().unwrap()
}

pub(crate) fn spec() -> JobSpec {
    serde_json::from_value(serde_json::json!({ "query": "select 1" })).unwrap()
}

/// A stage of `partitions` tasks that reads `inputs`.
pub(crate) fn stage(partitions: u32, inputs: &[u32]) -> Stage {
    Stage {
        plan: Bytes::from_static(b"plan"),
        partitions,
        output_partitions: 1,
        inputs: inputs.to_vec(),
        deterministic: true,
        display: "Scan".to_owned(),
        blobs: Vec::new(),
    }
}

pub(crate) fn graph(stages: Vec<Stage>) -> StageGraph {
    StageGraph {
        stages,
        columns: Vec::new(),
        output: None,
    }
}

#[derive(Clone)]
pub(crate) struct FakeWorker {
    pub(crate) id: NodeId,
    pub(crate) boot: BootId,
    pub(crate) slots: u32,
    pub(crate) running: Vec<WorkId>,
    /// Limit and use.
    pub(crate) memory: (u64, u64),
    pub(crate) address: String,
}

impl FakeWorker {
    pub(crate) fn new(name: &str, slots: u32) -> Self {
        Self {
            id: NodeId::try_new(name).unwrap(),
            boot: BootId::new_random(),
            slots,
            running: Vec::new(),
            memory: (0, 0),
            address: format!("{name}:1"),
        }
    }

    pub(crate) fn report(&self, work: WorkId, outcome: Outcome) -> Report {
        Report {
            worker: self.id.clone(),
            boot_id: self.boot,
            work,
            outcome,
            wasted: api::job::Cost::default(),
        }
    }
}

pub(crate) struct Bench {
    pub(crate) scheduler: Scheduler,
    pub(crate) now: Millis,
    pub(crate) commands: Vec<Command>,
    /// Whether everything is durable at once; else never.
    pub(crate) saves: bool,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Policy::default())
    }

    pub(crate) fn with(policy: Policy) -> Self {
        Self {
            scheduler: Scheduler::new(policy, 1_000),
            now: 1_000,
            commands: Vec::new(),
            saves: true,
        }
    }

    pub(crate) fn submit(&mut self, n: u64) -> JobId {
        self.submit_spec(n, spec())
    }

    pub(crate) fn submit_spec(&mut self, n: u64, spec: JobSpec) -> JobId {
        self.scheduler.submit(self.now, JobRecord::new(job_id(n), spec, self.now));
        job_id(n)
    }

    pub(crate) fn submit_in(&mut self, namespace: &str, n: u64, spec: JobSpec) -> JobId {
        let mut record = JobRecord::new(job_id(n), spec, self.now);
        record.namespace = namespace.to_owned();
        self.scheduler.submit(self.now, record);
        job_id(n)
    }

    /// A job that is planned as `graph` by `worker`.
    pub(crate) fn planned(&mut self, n: u64, worker: &mut FakeWorker, graph: StageGraph) -> JobId {
        self.planned_in("", n, worker, graph)
    }

    pub(crate) fn planned_in(&mut self, namespace: &str, n: u64, worker: &mut FakeWorker, graph: StageGraph) -> JobId {
        let job = self.submit_in(namespace, n, spec());
        let plan = self.poll(worker).start.remove(0).work();
        self.report(worker, plan, Outcome::Planned(graph));
        job
    }

    pub(crate) fn advance(&mut self, by: Millis) {
        self.now += by;
        self.scheduler.tick(self.now);
        self.collect();
    }

    /// Polls without waiting; the worker runs what it is given and stops what it is told to.
    pub(crate) fn poll(&mut self, worker: &mut FakeWorker) -> PollResponse {
        let response = self.poll_only(worker);
        worker.running.extend(response.start.iter().map(Assignment::work));
        worker.running.retain(|work| !response.cancel.contains(work));
        response
    }

    /// Polls, but the answer never reaches the worker.
    pub(crate) fn poll_only(&mut self, worker: &FakeWorker) -> PollResponse {
        let request = PollRequest {
            worker: worker.id.clone(),
            boot_id: worker.boot,
            address: worker.address.clone(),
            slots: worker.slots,
            running: worker.running.clone(),
            progress: Vec::new(),
            memory_limit: worker.memory.0,
            memory_used: worker.memory.1,
            wait_ms: 0,
        };
        self.scheduler.poll(self.now, &request);
        let response = self.scheduler.answer(self.now, &worker.id);
        self.collect();
        response
    }

    pub(crate) fn report(&mut self, worker: &mut FakeWorker, work: WorkId, outcome: Outcome) -> Heard {
        worker.running.retain(|running| *running != work);
        let response = self.scheduler.report(self.now, worker.report(work, outcome));
        self.collect();
        response
    }

    pub(crate) fn done(&mut self, worker: &mut FakeWorker, task: TaskId) {
        self.report(worker, WorkId::Task(task), done(task));
    }

    pub(crate) fn fail(&mut self, worker: &mut FakeWorker, task: TaskId, failure: TaskFailure) {
        self.report(worker, WorkId::Task(task), Outcome::Failed(failure));
    }

    /// The same, by an attempt that has cost something; reported twice, as when the first answer is lost.
    pub(crate) fn fail_after(&mut self, worker: &mut FakeWorker, task: TaskId, failure: TaskFailure, wasted: Cost) {
        let mut report = worker.report(WorkId::Task(task), Outcome::Failed(failure));
        report.wasted = wasted;
        worker.running.retain(|running| *running != report.work);
        for _ in 0..2 {
            self.scheduler.report(self.now, report.clone());
            self.collect();
        }
    }

    fn collect(&mut self) {
        for command in self.scheduler.drain() {
            if self.saves
                && let Command::Persist(job) = command
                && let Some(save) = self.scheduler.save(job)
            {
                self.scheduler.saved(self.now, job, save.version);
            }
            self.commands.push(command);
        }
    }

    /// How many attempts ended in this way since the last call of [`Bench::ending`].
    pub(crate) fn count(&self, result: TaskResult) -> usize {
        let ended = self.commands.iter().filter(|command| **command == Command::TaskEnded(result));
        ended.count()
    }

    /// The end of the only job that ended since the last call.
    pub(crate) fn ending(&mut self) -> Option<Ending> {
        let mut endings = self.commands.drain(..).filter_map(|command| match command {
            Command::Finish(ending) => Some(*ending),
            _ => None,
        });
        let ending = endings.next();
        assert!(endings.next().is_none(), "a job ends once");
        ending
    }

    pub(crate) fn failure(&mut self) -> String {
        self.ending()
            .expect("the job has ended")
            .record
            .error
            .expect("it failed")
            .detail
    }
}

/// A finished task whose result names the attempt that made it.
pub(crate) fn done(task: TaskId) -> Outcome {
    let name = format!("{}/{}/{}", task.stage, task.partition, task.attempt);
    Outcome::Done(TaskOutput {
        rows: 10,
        bytes: 100,
        result: Some(ResultPart::Inline(name.into())),
        cost: Cost::default(),
    })
}

pub(crate) fn tasks(response: &PollResponse) -> Vec<TaskId> {
    response.start.iter().map(|assignment| task(assignment).0).collect()
}

pub(crate) fn task(assignment: &Assignment) -> (TaskId, Vec<StageOutputs>) {
    match assignment {
        Assignment::Run { task, inputs, .. } => (*task, inputs.clone()),
        Assignment::Plan { .. } => panic!("a task was expected, not planning"),
    }
}

pub(crate) fn place(task: &TaskId) -> (u32, u32) {
    (task.stage, task.partition)
}
