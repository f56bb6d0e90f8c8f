//! A worker that plays: it follows the protocol, and every job has one task and one row.

use std::sync::Arc;

use api::job::{Column, Cost};
use api::task::{
    Assignment, Outcome, PollRequest, PollResponse, Report, ReportResponse, ResultPart, Stage, StageGraph, TaskOutput,
};
use api::{BootId, NodeId};
use arrow::array::StringArray;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;

use crate::support::Masters;

/// What the player polls with.
pub(crate) struct Player {
    poll: PollRequest,
    /// The private listener of the only master.
    leader: String,
}

impl Player {
    pub(crate) fn new(masters: &Masters) -> Self {
        let poll = PollRequest {
            worker: NodeId::try_new("worker-1").unwrap(),
            boot_id: BootId::new_random(),
            address: "127.0.0.1:1".to_owned(),
            slots: 4,
            running: Vec::new(),
            progress: Vec::new(),
            memory_limit: 0,
            memory_used: 0,
            wait_ms: 500,
        };
        let leader = masters.private(1);
        Self { poll, leader }
    }

    /// Polls once, and does what it is given: the row says the query.
    pub(crate) async fn step(&mut self, masters: &Masters) {
        let poll = masters.peers.post(&self.leader, "/internal/v1/jobs/poll").json(&self.poll);
        let Ok(answer) = poll.send().await else {
            // Nobody leads yet.
            return tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        let orders: PollResponse = answer.json().await.unwrap();
        for order in orders.start {
            let work = order.work();
            let outcome = match order {
                Assignment::Plan { query, .. } => Outcome::Planned(graph(&query)),
                Assignment::Run { task, .. } => {
                    let path = format!("/internal/v1/jobs/{}/stages/{}", task.job, task.stage);
                    let plan = masters.peers.get(&self.leader, &path).send().await.unwrap();
                    done(std::str::from_utf8(&plan.bytes().await.unwrap()).unwrap())
                }
            };
            let report = Report {
                worker: self.poll.worker.clone(),
                boot_id: self.poll.boot_id,
                work,
                outcome,
                wasted: api::job::Cost::default(),
            };
            let body = postcard::to_stdvec(&report).unwrap();
            let report = masters.peers.post(&self.leader, "/internal/v1/jobs/report");
            let answer = report.body("application/octet-stream", body.into()).send().await.unwrap();
            assert!(answer.json::<ReportResponse>().await.unwrap().durable);
        }
    }
}

fn graph(query: &str) -> StageGraph {
    let stage = Stage {
        plan: query.to_owned().into(),
        partitions: 1,
        output_partitions: 1,
        inputs: Vec::new(),
        deterministic: true,
        display: format!("Played: {query}"),
        blobs: Vec::new(),
    };
    let column = Column {
        name: "query".to_owned(),
        data_type: "Utf8".to_owned(),
        nullable: false,
    };
    StageGraph {
        stages: vec![stage],
        columns: vec![column],
        output: None,
    }
}

fn done(row: &str) -> Outcome {
    let column = Arc::new(StringArray::from(vec![row]));
    let batch = RecordBatch::try_from_iter([("query", column as _)]).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    Outcome::Done(TaskOutput {
        rows: 1,
        bytes: 8,
        result: Some(ResultPart::Inline(writer.into_inner().unwrap().into())),
        cost: Cost::default(),
    })
}
