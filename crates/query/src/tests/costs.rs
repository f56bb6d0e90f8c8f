//! What tasks cost, and how far they are.

use std::collections::BTreeMap;

use api::JobId;
use api::task::TaskId;

use super::cluster::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_says_what_it_cost() {
    let cluster = Cluster::new();
    let graph = cluster
        .plan(
            "SELECT note, sum(weight), count(*) FROM orders GROUP BY note ORDER BY note",
            2,
        )
        .await;
    let task = TaskId {
        job: JobId::new_now(),
        stage: 0,
        partition: 0,
        attempt: 0,
    };
    let (written, progress) = cluster.run_task_watched(&graph, task, &BTreeMap::new()).await.unwrap();
    let cost = progress.cost();
    assert!(cost.cpu_ms > 0, "{cost:?}");
    assert!(cost.peak_memory > 0, "{cost:?}");
    let on_disk = std::fs::metadata(cluster.dir.path().join("data/orders/part-0.parquet"))
        .unwrap()
        .len();
    assert!(
        cost.bytes_read > 1_000 && cost.bytes_read < 4 * on_disk,
        "{cost:?} of files of {on_disk}"
    );
    assert_eq!(progress.rows(), written.rows);
    assert_eq!(cluster.engine.memory_used(), 0);
}
