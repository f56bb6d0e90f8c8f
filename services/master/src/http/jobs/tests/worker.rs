//! A worker that follows the protocol and makes up its rows.

use std::sync::Arc;

use api::job::{Column, Cost};
use api::task::{
    Assignment, Outcome, PollRequest, PollResponse, Report, ReportResponse, ResultPart, Stage, StageGraph, TaskFailure, TaskId,
    TaskOutput, WorkId,
};
use api::{BootId, ErrorCode, NodeId};
use arrow::array::Int64Array;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};

use super::stack::{Answer, Master};

pub(super) struct Worker {
    private: Router,
    id: NodeId,
    boot: BootId,
    running: Vec<WorkId>,
    /// Partitions and inputs of the stages it plans.
    pub(super) shape: Vec<(u32, Vec<u32>)>,
    /// Everything it was ever given.
    pub(super) given: Vec<WorkId>,
}

impl Worker {
    pub(super) fn of(master: &Master) -> Self {
        Self::named(master, "worker-1")
    }

    pub(super) fn named(master: &Master, name: &str) -> Self {
        let (id, boot) = (NodeId::try_new(name).unwrap(), BootId::new_random());
        Self {
            private: master.private.clone(),
            id,
            boot,
            running: Vec::new(),
            shape: vec![(2, Vec::new()), (1, vec![0])],
            given: Vec::new(),
        }
    }

    /// The same worker, now polling another master.
    pub(super) fn turn_to(&mut self, master: &Master) {
        self.private = master.private.clone();
    }

    /// The same worker after its process was started anew: it runs nothing and has nothing.
    pub(super) fn restarted(&mut self) {
        self.boot = BootId::new_random();
        self.running.clear();
    }

    /// Tasks it was given, by stage and partition, each as often as it was.
    pub(super) fn tasks(&self) -> Vec<(u32, u32)> {
        let task = |work: &WorkId| match work {
            WorkId::Task(task) => Some((task.stage, task.partition)),
            WorkId::Plan(..) => None,
        };
        let mut all: Vec<_> = self.given.iter().filter_map(task).collect();
        all.sort_unstable();
        all
    }

    pub(super) async fn poll(&mut self, wait_ms: u64) -> PollResponse {
        let response: PollResponse = serde_json::from_slice(&self.poll_raw(wait_ms).await.body).unwrap();
        self.running.extend(response.start.iter().map(Assignment::work));
        self.given.extend(response.start.iter().map(Assignment::work));
        self.running.retain(|work| !response.cancel.contains(work));
        response
    }

    pub(super) async fn poll_raw(&self, wait_ms: u64) -> Answer {
        let poll = PollRequest {
            worker: self.id.clone(),
            boot_id: self.boot,
            address: "127.0.0.1:1".to_owned(),
            slots: 4,
            running: self.running.clone(),
            progress: Vec::new(),
            memory_limit: 0,
            memory_used: 0,
            wait_ms,
        };
        let request = Request::post("/internal/v1/jobs/poll").header("content-type", "application/json");
        let body = Body::from(serde_json::to_vec(&poll).unwrap());
        Answer::of(self.private.clone(), request.body(body).unwrap()).await
    }

    pub(super) async fn report(&mut self, work: WorkId, outcome: Outcome) -> ReportResponse {
        self.running.retain(|running| *running != work);
        let report = Report {
            worker: self.id.clone(),
            boot_id: self.boot,
            work,
            outcome,
            wasted: Cost::default(),
        };
        let body = Body::from(postcard::to_stdvec(&report).unwrap());
        let answer = Answer::of(
            self.private.clone(),
            Request::post("/internal/v1/jobs/report").body(body).unwrap(),
        )
        .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Waits for the next piece of work.
    pub(super) async fn next(&mut self) -> WorkId {
        self.poll(10_000).await.start[0].work()
    }

    /// Plans the next job as two stages of two tasks and one.
    pub(super) async fn plan(&mut self) -> WorkId {
        let work = self.next().await;
        let graph = self.graph();
        self.report(work, Outcome::Planned(graph)).await;
        work
    }

    /// Does everything there is until a task of the last stage is done.
    pub(super) async fn work(&mut self) {
        while !self.step(10_000).await {}
    }

    /// Does everything there is until a job has ended.
    pub(super) async fn work_until_ended(&mut self, master: &Master, id: &str) {
        let path = format!("/jobs/{id}");
        while master.ask("GET", &path, None).await.json()["finished_at_ms"].is_null() {
            self.step(200).await;
        }
    }

    /// Does what one poll gives; whether a task of a last stage was among it.
    async fn step(&mut self, wait_ms: u64) -> bool {
        let mut over = false;
        for assignment in self.poll(wait_ms).await.start {
            let outcome = match &assignment {
                Assignment::Plan { .. } => Outcome::Planned(self.graph()),
                Assignment::Run { task, last, .. } => done(*task, *last),
            };
            self.report(assignment.work(), outcome).await;
            over |= matches!(assignment, Assignment::Run { last: true, .. });
        }
        over
    }

    pub(super) fn graph(&self) -> StageGraph {
        let stage = |(partitions, inputs): &(u32, Vec<u32>)| Stage {
            plan: vec![7, 7, 7].into(),
            partitions: *partitions,
            output_partitions: 1,
            inputs: inputs.clone(),
            deterministic: true,
            display: "ScanExec".to_owned(),
            blobs: Vec::new(),
        };
        let column = Column {
            name: "n".to_owned(),
            data_type: "Int64".to_owned(),
            nullable: false,
        };
        StageGraph {
            stages: self.shape.iter().map(stage).collect(),
            columns: vec![column],
            output: None,
        }
    }

    pub(super) async fn refuse(&mut self, detail: &str) {
        let work = self.next().await;
        let failure = TaskFailure::User {
            code: ErrorCode::InvalidArgument,
            detail: detail.to_owned(),
        };
        self.report(work, Outcome::Failed(failure)).await;
    }
}

/// Three rows for the last stage, nothing but figures for others.
pub(super) fn done(task: TaskId, last: bool) -> Outcome {
    let result = last.then(|| {
        let column = Arc::new(Int64Array::from(vec![1, 2, i64::from(task.stage)]));
        let batch = RecordBatch::try_from_iter([("n", column as _)]).unwrap();
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        ResultPart::Inline(writer.into_inner().unwrap().into())
    });
    Outcome::Done(TaskOutput {
        rows: 3,
        bytes: 24,
        result,
        cost: Cost::default(),
    })
}
