//! Work and workers that go wrong.

use std::sync::Arc;

use api::ErrorCode;
use api::task::{Assignment, Outcome, Producer, TaskFailure, TaskId, WorkId};
use transport::peer::{PeerClient, PeerError, PeerPolicy};

use super::cluster::Cluster;
use crate::{Error, start_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_cannot_be_planned_is_reported_with_its_reason() {
    let cluster = Cluster::new(1).await;
    let tables = cluster.table(10);
    let (_, outcome) = cluster.plan(0, "SELECT nn FROM t", tables).await;
    let Outcome::Failed(TaskFailure::User { code, detail }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(code, ErrorCode::InvalidArgument);
    assert!(detail.contains("No field named nn"), "{detail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_output_that_is_not_there_is_a_fetch_failure_that_names_its_producer() {
    let cluster = Cluster::new(2).await;
    let (job, graph) = cluster.planned("SELECT k, count(*) n FROM t GROUP BY k", 60_000).await;
    cluster.run(job, &graph).await;
    for (address, partition) in [(cluster.address(1), 1), ("127.0.0.1:1".to_owned(), 2)] {
        let mut inputs = vec![cluster.outputs(&graph, 0)];
        inputs[0].producers[partition] = Producer { attempt: 7, address };
        let task = TaskId {
            job,
            stage: 1,
            partition: 0,
            attempt: 1 + partition as u32,
        };
        cluster.order(0, |orders| {
            orders.start.push(Assignment::Run {
                task,
                inputs,
                last: true,
                partitions: 3,
                dataset: None,
                alone: false,
            })
        });
        let outcome = cluster.outcome(WorkId::Task(task)).await;
        let Outcome::Failed(TaskFailure::Fetch {
            stage,
            partition: lost,
            attempt,
            detail,
        }) = outcome
        else {
            panic!("{outcome:?}")
        };
        assert_eq!((stage, lost as usize, attempt), (0, partition, 7), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_job_leaves_no_files_and_strangers_get_none() {
    let cluster = Cluster::new(1).await;
    let (job, graph) = cluster.planned("SELECT k, count(*) n FROM t GROUP BY k", 60_000).await;
    cluster.run(job, &graph).await;
    let path = format!("/internal/v1/shuffle/{job}/0/1/0/2");
    let address = cluster.address(0);
    let bytes = cluster
        .peers
        .get(&address, &path)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert!(bytes.ends_with(b"!DNE"), "checksummed frames, to the last of them");

    let registry = telemetry::new_registry();
    let stranger = PeerClient::new("a guess", PeerPolicy::default(), &registry);
    let refused = stranger.get(&address, &path).send().await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unauthenticated);

    cluster.order(0, |orders| orders.forget.push(job));
    let job_dir = cluster.dir.path().join(format!("work-0/shuffle/{job}"));
    cluster.wait(|_| (!job_dir.exists()).then_some(())).await;
    let gone = cluster.peers.get(&address, &path).send().await.unwrap_err();
    assert!(
        matches!(&gone, PeerError::Answered { problem, .. } if problem.status == 404),
        "{gone}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_cannot_work_says_why_and_one_that_starts_again_cleans_up() {
    let mut cluster = Cluster::new(1).await;
    let mut settings = cluster.settings(1);
    settings.work_dir = cluster.settings(0).work_dir;
    let error = start_with(settings.clone(), Arc::clone(&cluster.store)).await.err();
    assert!(matches!(error, Some(Error::WorkDirInUse(_))), "{error:?}");

    settings.work_dir = cluster.dir.path().join("work-1");
    settings.data_dirs.0.push("/no/such/directory".to_owned());
    let error = start_with(settings.clone(), Arc::clone(&cluster.store)).await.err();
    assert!(
        matches!(&error, Some(Error::DataDirs(source)) if source.to_string().contains("/no/such/directory")),
        "{error:?}"
    );

    settings.data_dirs.0.pop();
    settings.port = cluster.workers[0].address().port();
    let error = start_with(settings, Arc::clone(&cluster.store)).await.err();
    assert!(matches!(error, Some(Error::Bind(_))), "{error:?}");

    let (job, graph) = cluster.planned("SELECT k, count(*) n FROM t GROUP BY k", 60_000).await;
    cluster.run(job, &graph).await;
    let job_dir = cluster.dir.path().join(format!("work-0/shuffle/{job}"));
    assert!(job_dir.exists());
    cluster.workers.remove(0).stop().await;
    let again = start_with(cluster.settings(0), Arc::clone(&cluster.store)).await.unwrap();
    assert!(!job_dir.exists(), "files of an earlier life are gone");
    again.stop().await;
}
