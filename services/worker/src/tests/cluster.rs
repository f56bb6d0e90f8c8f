//! A control store, a leader and an auxiliary that do what the test says, and real workers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::job::TableSpec;
use api::member::{Layout, Member, RingMember, RingRecord, Role};
use api::task::PlanTable;
use api::task::{
    Assignment, Outcome, PollRequest, PollResponse, Producer, Report, ReportResponse, StageGraph, StageOutputs, TaskId, WorkId,
};
use api::{BootId, JobId, NodeId};
use axum::extract::{Path, State};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use bytes::Bytes;
use control::ControlStore;
use control::raft::{RaftOptions, RaftStore};
use parking_lot::Mutex;
use settings::{List, Secret};
use tokio::sync::Notify;
use transport::peer::{PeerClient, PeerPolicy};

use crate::{Handle, Settings, start_with};

pub(super) const TOKEN: &str = "a token of tests";
const PATIENCE: Duration = Duration::from_secs(30);

/// What the played leader and auxiliary have seen, and what they will say.
#[derive(Debug, Default)]
pub(super) struct Script {
    orders: Mutex<BTreeMap<NodeId, PollResponse>>,
    plans: Mutex<BTreeMap<(JobId, u32), Bytes>>,
    pub(super) polls: Mutex<Vec<PollRequest>>,
    pub(super) reports: Mutex<Vec<Report>>,
    /// Reports that will be answered as not durable.
    pub(super) forgetful: Mutex<u32>,
    pub(super) blobs: Mutex<BTreeMap<String, Bytes>>,
    happened: Notify,
}

/// The stage a test plays on.
pub(super) struct Cluster {
    pub(super) dir: tempfile::TempDir,
    pub(super) script: Arc<Script>,
    pub(super) store: Arc<dyn ControlStore>,
    pub(super) peers: PeerClient,
    pub(super) workers: Vec<Handle>,
}

impl Cluster {
    pub(super) async fn new(workers: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let store: Arc<dyn ControlStore> = RaftStore::open(RaftOptions::new(dir.path().join("control"), "m1"))
            .await
            .unwrap();
        let script = Arc::new(Script::default());
        let address = play(Arc::clone(&script)).await;
        introduce(&store, &address).await;
        let registry = telemetry::new_registry();
        let peers = PeerClient::new(TOKEN, PeerPolicy::default(), &registry);
        let mut cluster = Self {
            dir,
            script,
            store,
            peers,
            workers: Vec::new(),
        };
        for number in 0..workers {
            let settings = cluster.settings(number);
            cluster
                .workers
                .push(start_with(settings, Arc::clone(&cluster.store)).await.unwrap());
        }
        cluster
    }

    pub(super) fn settings(&self, number: usize) -> Settings {
        Settings {
            node_id: format!("worker-{number}"),
            bind: [127, 0, 0, 1].into(),
            port: 0,
            cluster_token: Secret::new(TOKEN),
            worker_slots: 2,
            work_dir: self.dir.path().join(format!("work-{number}")),
            data_dirs: List(vec![self.dir.path().join("data").to_string_lossy().into_owned()]),
            ..Settings::default()
        }
    }

    pub(super) fn address(&self, worker: usize) -> String {
        format!("127.0.0.1:{}", self.workers[worker].address().port())
    }

    /// A CSV table `t` of `rows` rows: `n` counts, `k` is its last digit.
    pub(super) fn table(&self, rows: usize) -> BTreeMap<String, PlanTable> {
        let path = self.dir.path().join("data/t.csv");
        let text = (0..rows).fold("n,k\n".to_owned(), |text, n| text + &format!("{n},{}\n", n % 10));
        std::fs::write(&path, text).unwrap();
        let uri = format!("file://{}", path.display());
        [(
            "t".to_owned(),
            TableSpec {
                uri: Some(uri),
                ..TableSpec::default()
            }
            .into(),
        )]
        .into()
    }

    pub(super) fn order(&self, worker: usize, order: impl FnOnce(&mut PollResponse)) {
        order(
            self.script
                .orders
                .lock()
                .entry(self.workers[worker].id().clone())
                .or_default(),
        );
        self.script.happened.notify_waiters();
    }

    /// Waits for the report about some work.
    pub(super) async fn outcome(&self, work: WorkId) -> Outcome {
        self.wait(|script| {
            script
                .reports
                .lock()
                .iter()
                .find(|report| report.work == work)
                .map(|report| report.outcome.clone())
        })
        .await
    }

    pub(super) async fn wait<T>(&self, mut look: impl FnMut(&Script) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let happened = self.script.happened.notified();
                if let Some(found) = look(&self.script) {
                    return found;
                }
                tokio::select! { () = happened => {}, () = tokio::time::sleep(Duration::from_millis(50)) => {} }
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .expect("what the test waits for does not happen")
    }

    pub(super) async fn plan(&self, worker: usize, sql: &str, tables: BTreeMap<String, PlanTable>) -> (JobId, Outcome) {
        self.plan_in("", worker, sql, tables).await
    }

    /// Plans a job of a namespace.
    pub(super) async fn plan_in(
        &self,
        namespace: &str,
        worker: usize,
        sql: &str,
        tables: BTreeMap<String, PlanTable>,
    ) -> (JobId, Outcome) {
        let job = JobId::new_now();
        let plan = Assignment::Plan {
            job,
            attempt: 0,
            query: sql.to_owned(),
            tables,
            target_partitions: 3,
            now_ms: 0,
            namespace: namespace.to_owned(),
        };
        self.order(worker, |orders| orders.start.push(plan));
        (job, self.outcome(WorkId::Plan(job, 0)).await)
    }

    /// Plans, and lets workers fetch the stages' plans.
    pub(super) async fn planned(&self, sql: &str, rows: usize) -> (JobId, StageGraph) {
        let (job, outcome) = self.plan(0, sql, self.table(rows)).await;
        let Outcome::Planned(graph) = outcome else {
            panic!("{outcome:?}")
        };
        self.serve_plans(job, &graph);
        (job, graph)
    }

    pub(super) fn serve_plans(&self, job: JobId, graph: &StageGraph) {
        let plans = graph
            .stages
            .iter()
            .zip(0..)
            .map(|(stage, number)| ((job, number), stage.plan.clone()));
        self.script.plans.lock().extend(plans);
    }

    /// Where the outputs of a stage lie when its partitions were run by the workers in turn.
    pub(super) fn outputs(&self, graph: &StageGraph, stage: u32) -> StageOutputs {
        let producer = |partition: u32| Producer {
            attempt: 0,
            address: self.address(partition as usize % self.workers.len()),
        };
        StageOutputs {
            stage,
            producers: (0..graph.stages[stage as usize].partitions).map(producer).collect(),
        }
    }

    pub(super) fn assignment(&self, job: JobId, graph: &StageGraph, stage: u32, partition: u32) -> Assignment {
        let planned = &graph.stages[stage as usize];
        Assignment::Run {
            task: TaskId {
                job,
                stage,
                partition,
                attempt: 0,
            },
            inputs: planned.inputs.iter().map(|input| self.outputs(graph, *input)).collect(),
            last: stage as usize + 1 == graph.stages.len(),
            partitions: planned.partitions,
            dataset: None,
            alone: false,
        }
    }

    /// Runs all tasks, on the workers in turn, and returns the outcomes of the last stage.
    pub(super) async fn run(&self, job: JobId, graph: &StageGraph) -> Vec<Outcome> {
        let mut last = Vec::new();
        for (stage, planned) in (0..).zip(&graph.stages) {
            last.clear();
            for partition in 0..planned.partitions {
                let assignment = self.assignment(job, graph, stage, partition);
                self.order(partition as usize % self.workers.len(), |orders| {
                    orders.start.push(assignment)
                });
            }
            for partition in 0..planned.partitions {
                let outcome = self
                    .outcome(WorkId::Task(TaskId {
                        job,
                        stage,
                        partition,
                        attempt: 0,
                    }))
                    .await;
                assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
                last.push(outcome);
            }
        }
        last
    }

    pub(super) fn metric(&self, worker: usize, line: &str) -> u64 {
        let text = telemetry::render(self.workers[worker].registry());
        let value = text
            .lines()
            .find_map(|candidate| candidate.strip_prefix(line)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {line} in {text}"))
    }
}

/// Serves the leader's and an auxiliary's routes and returns the address.
async fn play(script: Arc<Script>) -> String {
    let router = Router::new()
        .route("/internal/v1/jobs/poll", post(poll))
        .route("/internal/v1/jobs/report", post(report))
        .route("/internal/v1/jobs/{job}/stages/{stage}", get(stage))
        .route("/internal/v1/blobs/{*name}", put(blob))
        .with_state(script);
    let listener = transport::server::bind(([127, 0, 0, 1], 0).into(), "PORT").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(transport::server::serve(
        listener,
        router,
        lifecycle::CancellationToken::new(),
    ));
    address
}

async fn poll(State(script): State<Arc<Script>>, Json(request): Json<PollRequest>) -> Json<PollResponse> {
    let worker = request.worker.clone();
    script.polls.lock().push(request);
    script.happened.notify_waiters();
    let until = tokio::time::Instant::now() + Duration::from_millis(300);
    loop {
        let happened = script.happened.notified();
        let orders = script.orders.lock().remove(&worker);
        if let Some(orders) = orders {
            return Json(orders);
        }
        if tokio::time::timeout_at(until, happened).await.is_err() {
            return Json(PollResponse::default());
        }
    }
}

async fn report(State(script): State<Arc<Script>>, body: Bytes) -> Json<ReportResponse> {
    script.reports.lock().push(Report::decode(&body).unwrap());
    script.happened.notify_waiters();
    let mut forgetful = script.forgetful.lock();
    let durable = *forgetful == 0;
    *forgetful = forgetful.saturating_sub(1);
    Json(ReportResponse { durable, forget: false })
}

async fn stage(State(script): State<Arc<Script>>, Path(id): Path<(JobId, u32)>) -> Bytes {
    script.plans.lock().get(&id).cloned().unwrap_or_default()
}

async fn blob(State(script): State<Arc<Script>>, Path(name): Path<String>, body: Bytes) -> Json<serde_json::Value> {
    let held = serde_json::json!({ "name": name, "bytes": body.len(), "crc32c": 0 });
    script.blobs.lock().insert(name, body);
    Json(held)
}

/// Writes who leads and who is in the ring.
async fn introduce(store: &Arc<dyn ControlStore>, address: &str) {
    let id = NodeId::try_new("played").unwrap();
    let leader = serde_json::json!({ "node_id": "played", "boot_id": BootId::new_random(), "address": address });
    let auxiliary = Member {
        id: id.clone(),
        role: Role::Auxiliary,
        boot_id: BootId::new_random(),
        address: address.to_owned(),
        public_address: None,
        zone: None,
        weight: 1,
        started_at_ms: 0,
        version: String::new(),
    };
    let layout = Layout {
        virtual_nodes: 16,
        replicas: 1,
        members: vec![RingMember {
            id,
            boot_id: auxiliary.boot_id,
            weight: 1,
            zone: None,
            lost: false,
        }],
    };
    let ring = RingRecord {
        epoch: api::Epoch(1),
        layout,
        ..RingRecord::default()
    };
    for (key, value) in [
        ("leader", leader),
        ("members/auxiliary/played", serde_json::to_value(auxiliary).unwrap()),
        ("ring", serde_json::to_value(ring).unwrap()),
    ] {
        store
            .put(key, serde_json::to_vec(&value).unwrap().into(), None)
            .await
            .unwrap();
    }
}
