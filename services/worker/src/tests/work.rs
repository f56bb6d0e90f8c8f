//! Work that goes well.

use api::task::{Outcome, ResultPart, TaskId, WorkId};

use super::cluster::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_runs_over_two_workers_that_exchange_rows() {
    let cluster = Cluster::new(2).await;
    let (job, graph) = cluster.planned("SELECT k, count(*) n FROM t GROUP BY k", 60_000).await;
    assert_eq!(graph.stages.len(), 2);
    assert_eq!(graph.stages[0].partitions, 3);

    let mut rows = 0;
    for outcome in cluster.run(job, &graph).await {
        let Outcome::Done(done) = outcome else { panic!("{outcome:?}") };
        assert!(
            matches!(done.result, Some(ResultPart::Inline(bytes)) if !bytes.is_empty()),
            "a small result rides in the report"
        );
        rows += done.rows;
    }
    assert_eq!(rows, 10);
    for worker in 0..2 {
        assert!(cluster.metric(worker, "shuffle_bytes_fetched_total") > 0);
        assert!(cluster.metric(worker, "shuffle_bytes_written_total") > 0);
        assert!(cluster.metric(worker, "tasks_total{result=\"done\"}") >= 2);
        assert_eq!(cluster.metric(worker, "worker_slots_in_use"), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_result_becomes_a_blob_at_its_owner() {
    let cluster = Cluster::new(1).await;
    let (job, graph) = cluster.planned("SELECT n, k FROM t", 60_000).await;
    let outcomes = cluster.run(job, &graph).await;
    let Outcome::Done(done) = &outcomes[0] else {
        panic!("{outcomes:?}")
    };
    let Some(ResultPart::Blob { name, bytes }) = &done.result else {
        panic!("{done:?}")
    };
    assert_eq!(*name, format!("results/{job}/0-0.arrow"));
    assert_eq!(cluster.script.blobs.lock()[name].len() as u64, *bytes);
    let left = cluster.dir.path().join(format!("work-0/shuffle/{job}/0/0-0"));
    assert!(!left.exists(), "a result's file is not needed any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_for_a_dataset_become_a_parquet_blob_even_when_there_are_none() {
    let cluster = Cluster::new(1).await;
    for (condition, rows) in [("n < 60000", 60_000), ("n < 0", 0)] {
        let (job, graph) = cluster
            .planned(&format!("SELECT n, k FROM t WHERE {condition}"), 60_000)
            .await;
        let mut order = cluster.assignment(job, &graph, 0, 0);
        let api::task::Assignment::Run { dataset, partitions, .. } = &mut order else {
            panic!("{order:?}")
        };
        *dataset = Some(format!("datasets/_/d/{job}/"));
        *partitions = 1;
        let work = order.work();
        cluster.order(0, |orders| orders.start.push(order));
        let Outcome::Done(done) = cluster.outcome(work).await else {
            panic!("it failed")
        };
        let Some(ResultPart::Blob { name, bytes }) = &done.result else {
            panic!("{done:?}")
        };
        assert_eq!(*name, format!("datasets/_/d/{job}/0-0.parquet"));
        let blob = cluster.script.blobs.lock()[name].clone();
        assert_eq!(blob.len() as u64, *bytes);
        assert!(blob.starts_with(b"PAR1") && blob.ends_with(b"PAR1"));
        assert!(done.rows <= rows);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_say_how_far_tasks_are_and_reports_what_they_cost() {
    let cluster = Cluster::new(1).await;
    let (job, graph) = cluster.planned("SELECT k, count(*) n FROM t GROUP BY k", 60_000).await;
    cluster.run(job, &graph).await;
    let reports = cluster.script.reports.lock().clone();
    let mut shuffled = 0;
    for report in &reports {
        if let (WorkId::Task(task), Outcome::Done(done)) = (report.work, &report.outcome) {
            shuffled += done.cost.bytes_shuffled;
            assert_eq!(done.cost.bytes_shuffled > 0, task.stage == 0, "{done:?}");
            assert_eq!(done.cost.bytes_read > 0, task.stage == 0, "{done:?}");
            assert!(done.cost.cpu_ms > 0, "{done:?}");
        }
    }
    assert_eq!(cluster.metric(0, "shuffle_bytes_written_total"), shuffled);
    assert!(cluster.metric(0, "work_dir_free_bytes") > 0);

    let slow = "SELECT count(*) FROM t a, t b, t c WHERE a.n + b.n + c.n = 7";
    let (job, _) = cluster.planned(slow, 3_000).await;
    let task = TaskId {
        job,
        stage: 0,
        partition: 0,
        attempt: 0,
    };
    cluster.order(0, |orders| {
        orders.start.push(api::task::Assignment::Run {
            task,
            inputs: Vec::new(),
            last: true,
            partitions: 1,
            dataset: None,
            alone: true,
        })
    });
    let told = |script: &super::cluster::Script| {
        let polls = script.polls.lock();
        let busy = polls.iter().rev().find(|poll| poll.running == [WorkId::Task(task)])?;
        (busy.progress.len() == 1 && busy.memory_limit > 0 && busy.memory_used > 0).then_some(())
    };
    cluster.wait(told).await;
    // It has all of the memory: another task waits for it, and can be cancelled while it does.
    let other = TaskId { attempt: 1, ..task };
    cluster.order(0, |orders| {
        orders.start.push(api::task::Assignment::Run {
            task: other,
            inputs: Vec::new(),
            last: true,
            partitions: 1,
            dataset: None,
            alone: false,
        })
    });
    let running = |count: usize| {
        move |script: &super::cluster::Script| {
            script
                .polls
                .lock()
                .last()
                .is_some_and(|poll| poll.running.len() == count)
                .then_some(())
        }
    };
    cluster.wait(running(2)).await;
    let before = std::time::Instant::now();
    cluster.order(0, |orders| orders.cancel.push(WorkId::Task(other)));
    cluster.wait(running(1)).await;
    cluster.order(0, |orders| orders.cancel.push(WorkId::Task(task)));
    cluster.wait(running(0)).await;
    assert!(
        before.elapsed() < std::time::Duration::from_secs(10),
        "cancelling took {:?}",
        before.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_the_jobs_namespace_are_a_table() {
    let cluster = Cluster::new(1).await;
    for (key, value) in [
        ("kv/users/1", "ann"),
        ("kv/users/2", "bob"),
        ("kv/other", "x"),
        ("kvns/team/users/1", "eve"),
        ("kvns/team2/users/2", "secret"),
        ("members/z", "secret"),
    ] {
        cluster.store.put(key, value.into(), None).await.unwrap();
    }
    let spec = api::job::TableSpec {
        uri: Some("kv:users/".to_owned()),
        ..Default::default()
    };
    let sql = "SELECT string_agg(key || '=' || text, ',' ORDER BY key) FROM t";
    for (namespace, expected) in [("", "users/1=ann,users/2=bob"), ("team", "users/1=eve")] {
        let tables = [("t".to_owned(), spec.clone().into())].into();
        let (job, outcome) = cluster.plan_in(namespace, 0, sql, tables).await;
        let Outcome::Planned(graph) = outcome else {
            panic!("{outcome:?}")
        };
        cluster.serve_plans(job, &graph);
        let outcomes = cluster.run(job, &graph).await;
        let Outcome::Done(done) = &outcomes[0] else {
            panic!("{outcomes:?}")
        };
        let Some(ResultPart::Inline(bytes)) = &done.result else {
            panic!("{done:?}")
        };
        let text = String::from_utf8_lossy(bytes);
        assert!(text.contains(expected) && !text.contains("secret"), "{namespace}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_repeated_until_it_is_durable() {
    let cluster = Cluster::new(1).await;
    *cluster.script.forgetful.lock() = 3;
    let (job, outcome) = cluster.plan(0, "SELECT 1", Default::default()).await;
    assert!(matches!(outcome, Outcome::Planned(_)));
    let reports = |script: &super::cluster::Script| {
        script
            .reports
            .lock()
            .iter()
            .filter(|r| r.work == WorkId::Plan(job, 0))
            .count()
    };
    cluster.wait(|script| (reports(script) == 4).then_some(())).await;
    let polls = cluster.script.polls.lock().len();
    cluster
        .wait(|script| (script.polls.lock().len() > polls + 2).then_some(()))
        .await;
    assert_eq!(reports(&cluster.script), 4, "and not any longer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_with_no_free_slot_goes_on_polling_and_lists_what_it_runs() {
    let cluster = Cluster::new(1).await;
    let slow = "SELECT count(*) FROM t a, t b, t c WHERE a.n + b.n + c.n = 7";
    let (job, graph) = cluster.planned(slow, 3_000).await;
    let stage = graph.stages.len() as u32 - 1;
    let tasks: Vec<_> = (0..2)
        .map(|attempt| TaskId {
            job,
            stage: 0,
            partition: 0,
            attempt,
        })
        .collect();
    assert_eq!(stage, 0, "{}", graph.stages[0].display);
    for task in &tasks {
        let run = api::task::Assignment::Run {
            task: *task,
            inputs: Vec::new(),
            last: true,
            partitions: 1,
            dataset: None,
            alone: false,
        };
        cluster.order(0, |orders| orders.start.push(run));
    }
    let busy = |script: &super::cluster::Script| {
        let polls = script.polls.lock();
        (polls.iter().filter(|poll| poll.running.len() == 2).count() >= 4).then_some(())
    };
    cluster.wait(busy).await;
    assert_eq!(cluster.metric(0, "worker_slots_in_use"), 2);

    cluster.order(0, |orders| {
        orders.cancel = tasks.iter().map(|task| WorkId::Task(*task)).collect()
    });
    cluster
        .wait(|script| {
            script
                .polls
                .lock()
                .last()
                .is_some_and(|poll| poll.running.is_empty())
                .then_some(())
        })
        .await;
    assert!(
        cluster
            .script
            .reports
            .lock()
            .iter()
            .all(|report| matches!(report.work, WorkId::Plan(..))),
        "nobody wants these reports"
    );
    assert_eq!(cluster.metric(0, "tasks_total{result=\"cancelled\"}"), 2);
}
