//! Tasks that fail, and what their failure says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::task::TaskId;
use api::{ErrorCode, JobId};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::cluster::{Cluster, rows, sorted_rows};
use super::data::table;
use crate::{ByteStream, Failure, RunTask, ShufflePart, ShuffleSource, Sink, TaskProgress};

async fn failure_of(cluster: &mut Cluster, name: &str, content: &str, sql: &str) -> Failure {
    let path = cluster.dir.path().join("data").join(name);
    std::fs::write(&path, content).unwrap();
    cluster.tables.insert("t".to_owned(), table(&path));
    let graph = cluster.plan(sql, 3).await;
    cluster
        .run(&graph, &mut |_, _| {})
        .await
        .err()
        .unwrap_or_else(|| panic!("{sql} succeeded"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_data_is_the_users_and_the_file_is_named() {
    let mut cluster = Cluster::new();
    let late = format!("n\n{}oops\n", "1\n".repeat(20_000));
    for (name, content, sql) in [
        ("late.csv", late.as_str(), "SELECT sum(n) FROM t"),
        (
            "ragged.csv",
            &format!("a,b\n{}1,2,3\n", "1,2\n".repeat(20_000)),
            "SELECT sum(a) FROM t",
        ),
        (
            "late.ndjson",
            &format!("{}{{\"n\": \"x\"}}\n", "{\"n\": 1}\n".repeat(20_000)),
            "SELECT sum(n) FROM t",
        ),
        ("zero.csv", "n\n1\n0\n", "SELECT 1 / n FROM t"),
        ("word.csv", "s\nword\n", "SELECT CAST(s AS INT) FROM t"),
    ] {
        let failure = failure_of(&mut cluster, name, content, sql).await;
        let Failure::User { code, detail } = &failure else {
            panic!("{name}: {failure:?}")
        };
        assert_eq!(*code, ErrorCode::InvalidArgument);
        assert!(detail.contains(name), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_gone_or_leads_outside_when_the_task_runs_is_refused() {
    let mut cluster = Cluster::new();
    let path = cluster.dir.path().join("data/t.csv");
    let secret = cluster.dir.path().join("secret.csv");
    std::fs::write(&path, "n\n1\n").unwrap();
    std::fs::write(&secret, "n\n2\n").unwrap();
    cluster.tables.insert("t".to_owned(), table(&path));
    let graph = cluster.plan("SELECT n FROM t", 3).await;

    std::fs::remove_file(&path).unwrap();
    let failure = cluster.run(&graph, &mut |_, _| {}).await.err();
    assert!(
        matches!(&failure, Some(Failure::User { code: ErrorCode::NotFound, detail }) if detail.contains("t.csv")),
        "{failure:?}"
    );

    std::os::unix::fs::symlink(&secret, &path).unwrap();
    let failure = cluster.run(&graph, &mut |_, _| {}).await.err();
    assert!(
        matches!(
            &failure,
            Some(Failure::User {
                code: ErrorCode::Forbidden,
                ..
            })
        ),
        "{failure:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_or_cut_input_names_its_producer() {
    let cluster = Cluster::new();
    let graph = cluster
        .plan("SELECT customer, count(*) FROM orders GROUP BY customer", 3)
        .await;
    let truth = cluster.truth("SELECT customer, count(*) FROM orders GROUP BY customer").await;
    for damage in [
        |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 8),
        |bytes: &mut Vec<u8>| bytes.fill(0),
    ] {
        let mut left = 1;
        let (answer, seen) = cluster
            .run(&graph, &mut |files, task| {
                if task.stage == 0 && task.partition == 1 && left > 0 {
                    left -= 1;
                    let file = files.file(task, 2);
                    let mut bytes = std::fs::read(&file).unwrap();
                    damage(&mut bytes);
                    std::fs::write(&file, bytes).unwrap();
                }
            })
            .await
            .unwrap();
        assert_eq!(seen.lost, 1);
        assert_eq!(sorted_rows(&answer), sorted_rows(&truth));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sort_larger_than_memory_spills_and_a_join_says_what_to_raise() {
    let cluster = Cluster::with_memory(24 << 20);
    let wide = "SELECT id * 5 + n id, repeat(note || 'x', 100) s FROM orders, (VALUES (1), (2), (3), (4), (5)) t(n)";
    let sort = format!("SELECT id FROM ({wide}) ORDER BY s, id");
    let graph = cluster.plan(&sort, 1).await;
    let (answer, seen) = cluster.run(&graph, &mut |_, _| {}).await.unwrap();
    assert_eq!(rows(&answer), rows(&cluster.truth(&sort).await));
    assert!(seen.spilled > 0, "nothing was spilled");

    let join = format!("SELECT count(*), max(a.s) FROM ({wide}) a JOIN ({wide}) b ON a.id = b.id AND a.s = b.s");
    let graph = cluster.plan(&join, 1).await;
    let failure = cluster.run(&graph, &mut |_, _| {}).await.err();
    assert!(
        matches!(&failure, Some(Failure::OutOfMemory(text)) if text.contains("raise WORKER_MEMORY")),
        "{failure:?}"
    );
    assert_eq!(cluster.engine.memory_used(), 0, "a failed task gives its memory back");
}

/// A source that never answers, or panics.
#[derive(Debug)]
struct Broken {
    panics: bool,
}

#[async_trait]
impl ShuffleSource for Broken {
    async fn open(&self, _part: &ShufflePart) -> std::io::Result<ByteStream> {
        assert!(!self.panics, "a poisoned input");
        std::future::pending().await
    }
}

async fn run_reader(cluster: &Cluster, panics: bool, cancel: CancellationToken) -> (Failure, bool) {
    let graph = cluster.plan("SELECT note, count(*) FROM orders GROUP BY note", 2).await;
    let task = TaskId {
        job: JobId::new_now(),
        stage: 1,
        partition: 0,
        attempt: 0,
    };
    let producers = vec![
        api::task::Producer {
            attempt: 0,
            address: "here:1".to_owned()
        };
        2
    ];
    let run = RunTask {
        task,
        plan: graph.stages[1].plan.clone(),
        inputs: vec![api::task::StageOutputs { stage: 0, producers }],
        source: Arc::new(Broken { panics }),
        attempt: cluster.shuffle.attempt(&task),
        sink: Sink::Shuffle,
        progress: Arc::new(TaskProgress::default()),
        cancel,
    };
    let failure = cluster.engine.run_task(run).await.unwrap_err();
    let job_dir = cluster.shuffle.attempt(&task);
    let left = job_dir
        .parent()
        .is_some_and(|dir| std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()));
    (failure, left)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_fails_the_task_and_nothing_else() {
    let cluster = Cluster::new();
    let (failure, left) = run_reader(&cluster, true, CancellationToken::new()).await;
    assert!(
        matches!(&failure, Failure::Retryable(text) if text.contains("a poisoned input")),
        "{failure:?}"
    );
    assert!(!left, "a failed task leaves files");
    assert_eq!(rows(&cluster.query("SELECT count(*) FROM orders", 2).await).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_task_ends_and_leaves_nothing() {
    let cluster = Cluster::new();
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stop.cancel();
    });
    let (failure, left) = run_reader(&cluster, false, cancel).await;
    assert_eq!(failure, Failure::Cancelled);
    assert!(!left, "a cancelled task leaves files");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_plan_is_a_failure_and_no_panic() {
    let cluster = Cluster::new();
    let mut graph = cluster.plan("SELECT id FROM orders", 1).await;
    let mut bytes = graph.stages[0].plan.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    graph.stages[0].plan = bytes.into();
    let task = TaskId {
        job: JobId::new_now(),
        stage: 0,
        partition: 0,
        attempt: 0,
    };
    let failure = cluster.run_task(&graph, task, &BTreeMap::new()).await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Retryable(text) if text.contains("checksum")),
        "{failure:?}"
    );
}
