//! The flag `deterministic`, and that it tells the truth.

use super::cluster::{Cluster, rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volatile_functions_and_unordered_limits_are_marked() {
    let cluster = Cluster::new();
    for (sql, deterministic) in [
        ("SELECT id, price FROM orders WHERE weight > 5", true),
        ("SELECT id FROM orders ORDER BY weight LIMIT 10", true),
        ("SELECT now() t, count(*) FROM orders", true),
        ("SELECT id, random() FROM orders", false),
        ("SELECT id FROM orders WHERE random() < 0.5", false),
        ("SELECT uuid(), count(*) n FROM orders GROUP BY note", false),
        ("SELECT id FROM orders LIMIT 10", false),
        ("SELECT sum(id) FROM (SELECT id FROM orders LIMIT 100)", false),
        (
            "SELECT a.id FROM orders a JOIN (SELECT id, random() r FROM customers) b ON a.id = b.id WHERE r < 0.5",
            false,
        ),
    ] {
        let graph = cluster.plan(sql, 3).await;
        assert_eq!(graph.stages.iter().all(|stage| stage.deterministic), deterministic, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_says_so_gives_the_same_rows_in_the_same_order() {
    let cluster = Cluster::new();
    for sql in [
        // Ties: nothing in the query says which of the equal rows comes first.
        "SELECT note, id FROM orders ORDER BY note LIMIT 500",
        "SELECT id, row_number() OVER (PARTITION BY note ORDER BY day) r FROM orders",
        "SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer = c.id",
        "SELECT note, array_agg(id) ids FROM orders WHERE id < 2000 GROUP BY note",
        "SELECT sum(weight / 3) s FROM orders GROUP BY customer",
    ] {
        let graph = cluster.plan(sql, 4).await;
        assert!(graph.stages.iter().all(|stage| stage.deterministic), "{sql}");
        let (first, _) = cluster.run(&graph, &mut |_, _| {}).await.unwrap();
        for _ in 0..3 {
            let (again, _) = cluster.run(&graph, &mut |_, _| {}).await.unwrap();
            assert_eq!(rows(&again), rows(&first), "{sql}");
        }
    }
}
