//! Jobs that read and write datasets, with a data store that is a few keys.

use std::sync::Arc;

use api::job::OutputSpec;
use api::task::{Assignment, PlanFile, PlanTable};
use async_trait::async_trait;
use axum::http::StatusCode;
use control::{Compare, Consistency, Op};
use jobs::PartLocation;
use serde_json::json;

use super::stack::{Master, Rules, Store, job};
use super::worker::{Worker, done};
use crate::app::jobs::{Commit, DatasetFiles, DatasetOutput, Error, Written};

/// Knows one dataset, `planets`.
#[derive(Debug)]
struct OneDataset;

#[async_trait]
impl DatasetFiles for OneDataset {
    async fn fill(&self, namespace: &str, name: &str, table: &mut PlanTable) -> Result<(), Error> {
        if name != "planets" {
            return Err(Error::Invalid(format!("there is no dataset {name}")));
        }
        table.files = vec![PlanFile {
            path: "a.csv".to_owned(),
            blob: format!("datasets/{namespace}/planets/1/a.csv"),
            bytes: 7,
        }];
        Ok(())
    }
}

#[async_trait]
impl DatasetOutput for OneDataset {
    async fn check(&self, _: &str, output: &OutputSpec) -> Result<(), Error> {
        if output.dataset == "planets" {
            return Err(Error::Conflict(
                "the dataset planets is there; replace it, or append to it".to_owned(),
            ));
        }
        Ok(())
    }

    async fn commit(&self, written: &Written<'_>) -> Result<Commit, Error> {
        let key = format!("datasets/{}/{}", written.namespace, written.output.dataset);
        if written.output.dataset == "late" {
            return Err(Error::Conflict("the dataset late has come meanwhile".to_owned()));
        }
        let rows: u64 = written.parts.iter().map(PartLocation::rows).sum();
        let value = format!("{rows} rows in {} files", written.parts.len());
        Ok(Commit {
            compares: vec![Compare::Absent(key.clone())],
            then: vec![Op::Put {
                key,
                value: value.into(),
                lease: None,
            }],
        })
    }
}

async fn master(store: &Store) -> Master {
    let rules = Rules {
        datasets: Some(Arc::new(OneDataset)),
        ..Rules::default()
    };
    let master = Master::start_with(store, "master-1", rules).await;
    master.leads().await;
    master
}

#[tokio::test]
async fn planning_is_handed_out_with_the_files_of_datasets() {
    let store = Store::open().await;
    let master = master(&store).await;
    let tables = json!({ "p": { "dataset": "planets" }, "c": { "uri": "file:///c.csv" } });
    let body = job(json!({ "tables": tables }));
    master.ask("POST", "/jobs?ns=team", Some(body)).await;
    let start = Worker::of(&master).poll(5_000).await.start;
    let Assignment::Plan { tables, .. } = &start[0] else {
        panic!("planning was expected")
    };
    assert_eq!(tables["p"].files[0].blob, "datasets/team/planets/1/a.csv");
    assert!(tables["c"].files.is_empty());
}

#[tokio::test]
async fn a_dataset_that_is_not_there_fails_the_job_before_it_runs() {
    let store = Store::open().await;
    let master = master(&store).await;
    let mut worker = Worker::of(&master);
    let headers = [("prefer", "wait=10")];
    let tables = json!({ "p": { "dataset": "stars" } });
    let (answer, response) = tokio::join!(
        master.ask_with("POST", "/jobs", &headers, Some(job(json!({ "tables": tables })))),
        worker.poll(300)
    );
    assert_eq!(
        (answer.status, &answer.json()["detail"]),
        (StatusCode::BAD_REQUEST, &json!("there is no dataset stars"))
    );
    assert!(response.start.is_empty());
    let output = json!({ "output": { "dataset": "planets" } });
    let (answer, _) = tokio::join!(
        master.ask_with("POST", "/jobs", &headers, Some(job(output))),
        worker.poll(300)
    );
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.text());
}

#[tokio::test]
async fn rows_that_go_into_a_dataset_appear_with_the_end_of_the_job() {
    let store = Store::open().await;
    let master = master(&store).await;
    let id = master.submit(json!({ "output": { "dataset": "moons" } })).await;
    let mut worker = Worker::of(&master);
    worker.shape = vec![(2, Vec::new())];
    worker.plan().await;
    for assignment in worker.poll(5_000).await.start {
        let Assignment::Run { task, dataset, .. } = &assignment else {
            panic!("a task")
        };
        assert_eq!(dataset.as_deref(), Some(format!("datasets/_/moons/{id}/").as_str()));
        worker.report(assignment.work(), done(*task, true)).await;
    }
    let ended = master.until(&id, "succeeded").await;
    assert_eq!(ended["output"]["dataset"], "moons");
    let manifest = store
        .store
        .get("datasets//moons", Consistency::Linearizable)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(manifest.value, "6 rows in 2 files");
    let result = master.ask("GET", &format!("/jobs/{id}/result"), None).await;
    assert_eq!(result.status, StatusCode::CONFLICT);
    assert!(
        result.text().contains("the rows went into the dataset moons"),
        "{}",
        result.text()
    );
}

#[tokio::test]
async fn a_dataset_that_may_not_be_written_at_the_end_fails_the_job() {
    let store = Store::open().await;
    let master = master(&store).await;
    let id = master.submit(json!({ "output": { "dataset": "late" } })).await;
    Worker::of(&master).work().await;
    let failed = master.until(&id, "failed").await;
    assert_eq!(failed["error"]["detail"], "the dataset late has come meanwhile");
    assert_eq!(failed["result"], json!(null));
}
