//! Statements that are more than a query, and what depends on the moment or on the number of rows.

use std::sync::Arc;

use api::job::{OutputMode, OutputSpec};
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};

use super::cluster::{Cluster, rows};
use super::duck::texts;
use crate::Failure;
use crate::plan::Shape;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_tells_the_stages_of_the_query() {
    let cluster = Cluster::new();
    let graph = cluster
        .plan("EXPLAIN SELECT note, count(*) n FROM orders GROUP BY note ORDER BY n", 4)
        .await;
    assert_eq!(graph.stages.len(), 1);
    let (answer, _) = cluster.run(&graph, &mut |_, _| {}).await.unwrap();
    let answer = texts(&answer);
    let kinds: Vec<_> = answer.iter().filter_map(|row| row[0].as_deref()).collect();
    assert_eq!(kinds, ["logical plan", "stage 0", "stage 1", "stage 2"]);
    let stage = answer[2][1].as_deref().unwrap();
    assert!(
        stage.starts_with("tasks: 4, reads stages 0\n") && stage.contains("ShuffleRead"),
        "{stage}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_table_as_says_where_the_rows_go() {
    let cluster = Cluster::new();
    let graph = cluster
        .plan(
            "CREATE OR REPLACE TABLE totals AS SELECT note, count(*) n FROM orders GROUP BY note",
            2,
        )
        .await;
    let output = OutputSpec {
        dataset: "totals".to_owned(),
        mode: OutputMode::Replace,
    };
    assert_eq!(graph.output, Some(output));
    let (answer, _) = cluster.run(&graph, &mut |_, _| {}).await.unwrap();
    assert_eq!(rows(&answer).len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_is_that_of_the_request_in_every_task() {
    let cluster = Cluster::new();
    for sql in [
        "SELECT DISTINCT CAST(now() AS VARCHAR) t, current_date d FROM orders",
        // As one task, planned again where it runs.
        "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 3) SELECT DISTINCT CAST(now() AS VARCHAR) t, current_date d FROM x",
    ] {
        let answer = texts(&cluster.query(sql, 3).await);
        let [row] = answer.as_slice() else { panic!("{answer:?}") };
        assert!(
            row[0].as_deref().unwrap().starts_with("2024-05-06T07:08:09"),
            "{sql}: {row:?}"
        );
        assert_eq!(row[1].as_deref(), Some("2024-05-06"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scalar_subquery_is_a_stage_and_fails_when_it_has_several_rows() {
    let cluster = Cluster::new();
    let one = "SELECT count(*) FROM orders WHERE customer = (SELECT id FROM customers WHERE id = 7)";
    let graph = cluster.plan(one, 3).await;
    assert!(graph.stages.iter().any(|stage| stage.partitions == 3), "{:?}", graph.stages);
    assert_eq!(rows(&cluster.query(one, 3).await), rows(&cluster.truth(one).await));
    for (sql, fails) in [
        (
            "SELECT count(*) FROM orders WHERE customer = (SELECT id FROM customers WHERE id < 7)",
            true,
        ),
        (
            "SELECT id, (SELECT id FROM customers WHERE id < 0) n FROM orders WHERE id < 3",
            false,
        ),
        (
            "SELECT id FROM orders ORDER BY id + (SELECT id FROM customers WHERE id > 1997) LIMIT 3",
            true,
        ),
    ] {
        let graph = cluster.plan(sql, 3).await;
        assert!(graph.stages.len() > 1, "{sql}");
        let outcome = cluster.run(&graph, &mut |_, _| {}).await;
        match outcome {
            Err(Failure::User { detail, .. }) if fails => assert!(detail.contains("more than one row"), "{detail}"),
            Ok(_) if !fails => {}
            other => panic!("{sql}: {:?}", other.map(|(answer, _)| rows(&answer))),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_small_or_reads_nothing_is_one_stage_of_one_task() {
    let mut cluster = Cluster::new();
    let path = cluster.dir.path().join("data/small.csv");
    std::fs::write(
        &path,
        (0..5_000).fold("a,b\n".to_owned(), |text, n| text + &format!("{n},{}\n", n % 7)),
    )
    .unwrap();
    cluster.tables.insert("small".to_owned(), super::data::table(&path));
    for sql in [
        "SELECT 1",
        "VALUES (1, 'a'), (2, 'b')",
        "SELECT b, count(*) n FROM small GROUP BY b ORDER BY n",
        "SELECT x.a FROM small x JOIN small y ON x.a = y.b WHERE x.b = (SELECT min(b) FROM small)",
        "SELECT a, sum(b) OVER (PARTITION BY b ORDER BY a) s FROM small ORDER BY s LIMIT 5",
        "SELECT count(*), sum(a) FROM small WHERE a NOT IN (SELECT b FROM small)",
    ] {
        let graph = cluster.plan(sql, 8).await;
        let shape: Vec<_> = graph.stages.iter().map(|stage| stage.partitions).collect();
        assert_eq!(shape, [1], "{sql}: {:?}", graph.stages);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collected_side_that_is_not_repeatable_is_worked_out_once() {
    let cluster = Cluster::new();
    let sql = "SELECT count(DISTINCT r) n FROM (SELECT random() r) a CROSS JOIN orders";
    for _ in 0..3 {
        assert_eq!(rows(&cluster.query(sql, 4).await), ["|1|"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_sides_are_broadcast_unless_rows_of_them_are_emitted() {
    let cluster = Cluster::new();
    for (join, broadcast) in [
        ("JOIN", true),
        ("RIGHT JOIN", true),
        ("LEFT JOIN", false),
        ("FULL JOIN", false),
    ] {
        let sql =
            format!("SELECT c.id, o.note FROM (SELECT id FROM orders WHERE id < 900) c {join} orders o ON c.id = o.customer");
        let shape = Shape {
            whole_below_bytes: 0,
            broadcast_rows: 0,
            // Between the two sides.
            broadcast_bytes: 64 << 10,
            partitions: 3,
        };
        let graph = cluster.plan_shaped(&sql, shape).await.unwrap();
        let collected = graph.stages.iter().any(|stage| stage.display.contains("mode=CollectLeft"));
        assert_eq!(collected, broadcast, "{join}: {:?}", graph.stages);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_semi_join_over_one_large_file_is_spread_too() {
    let mut cluster = Cluster::new();
    let directory = cluster.dir.path().join("data/one");
    let column: ArrayRef = Arc::new((0..100_000_i64).map(|n| n * 7_919 % 100_003).collect::<Int64Array>());
    let batch = RecordBatch::try_from_iter([("k", column)]).unwrap();
    super::tpch::write_parquet(&directory, &[batch], 1);
    cluster.tables.insert("one".to_owned(), super::data::table(&directory));
    let sql = "SELECT count(*) n FROM (SELECT k FROM one WHERE k < 50) a WHERE EXISTS (SELECT 1 FROM one b WHERE b.k = a.k)";
    let graph = cluster.plan(sql, 3).await;
    let join = graph
        .stages
        .iter()
        .find(|stage| stage.display.contains("HashJoinExec"))
        .unwrap();
    assert_eq!(join.partitions, 3, "{}", join.display);
    let (answer, _) = cluster.run(&graph, &mut |_, _| {}).await.unwrap();
    assert_eq!(rows(&answer), rows(&cluster.query(sql, 1).await));
}
