//! What the scheduler does with datasets.

use api::JobId;
use api::job::{Column, OutputMode, OutputSpec, TableFormat, TableSpec};
use control::{ControlStore, Txn};

use super::stack::Stack;
use crate::app::datasets::{CommitOps, Datasets, Error, WrittenFile};

fn column(name: &str, data_type: &str) -> Column {
    Column {
        name: name.to_owned(),
        data_type: data_type.to_owned(),
        nullable: false,
    }
}

fn output(mode: OutputMode) -> OutputSpec {
    OutputSpec {
        dataset: "out".to_owned(),
        mode,
    }
}

fn written(job: JobId, parts: u64) -> Vec<WrittenFile> {
    let prefix = Datasets::output_prefix("", "out", job).unwrap();
    let file = |part| WrittenFile {
        blob: format!("{prefix}{part}-0.parquet"),
        bytes: 100,
        rows: 10,
    };
    (0..parts).map(file).collect()
}

async fn commit(store: &dyn ControlStore, ops: CommitOps) -> bool {
    let txn = Txn {
        compares: ops.compares,
        then: ops.then,
        otherwise: Vec::new(),
    };
    store.txn(txn).await.unwrap().succeeded
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_sees_a_dataset_as_it_was_when_it_was_planned() {
    let stack = Stack::start().await;
    stack.put("/datasets/x/year=2026/a.tsv", "a\tb\n1\t2\n").await.expect(201);
    let planned = stack.app.datasets.plan_files("", "x").await.unwrap();
    assert_eq!((planned.files.len(), planned.files[0].path.as_str()), (1, "year=2026/a.tsv"));
    let mut spec = TableSpec::default();
    planned.fill(&mut spec);
    assert_eq!((spec.format, spec.options.delimiter), (Some(TableFormat::Csv), Some('\t')));
    stack.put("/datasets/x/b.tsv", "a\tb\n1\t2\n").await.expect(201);
    assert_ne!(stack.app.datasets.plan_files("", "x").await.unwrap().version, planned.version);
    assert!(matches!(
        stack.app.datasets.plan_files("other", "x").await,
        Err(Error::NotFound(_))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_job_writes_is_a_dataset_with_its_last_transaction() {
    let stack = Stack::start().await;
    let (store, datasets) = (&*stack.store.store, &stack.app.datasets);
    let columns = [column("n", "Int64")];
    let (first, second) = (JobId::new_now(), JobId::new_now());
    let ops = datasets
        .commit_ops("", &output(OutputMode::Create), first, &written(first, 2), &columns)
        .await
        .unwrap();
    let rival = datasets
        .commit_ops("", &output(OutputMode::Create), second, &written(second, 1), &columns)
        .await
        .unwrap();
    assert!(commit(store, ops).await);
    assert!(!commit(store, rival).await, "there is one now");
    let again = datasets
        .commit_ops("", &output(OutputMode::Create), second, &written(second, 1), &columns)
        .await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");

    let wider = [column("n", "Float64"), column("t", "Utf8")];
    let ops = datasets
        .commit_ops("", &output(OutputMode::Append), second, &written(second, 1), &wider)
        .await
        .unwrap();
    assert!(commit(store, ops).await);
    let told = stack.get("/datasets/out").await.expect(200).json();
    assert_eq!((told["files"].as_array().unwrap().len(), &told["rows"]), (3, &30.into()));
    assert_eq!(told["schema"][0]["type"], "Float64");
    let unfit = datasets
        .commit_ops(
            "",
            &output(OutputMode::Append),
            second,
            &written(second, 1),
            &[column("n", "Date32")],
        )
        .await;
    assert!(matches!(unfit, Err(Error::Conflict(_))), "{unfit:?}");

    let ops = datasets
        .commit_ops("", &output(OutputMode::Replace), second, &written(second, 1), &columns)
        .await
        .unwrap();
    assert!(commit(store, ops).await);
    let told = stack.get("/datasets/out").await.json();
    assert_eq!(
        (told["files"].as_array().unwrap().len(), &told["schema"][0]["type"]),
        (1, &"Int64".into())
    );
}
