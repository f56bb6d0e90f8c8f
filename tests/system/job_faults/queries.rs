//! Queries that are the fault themselves: one that breaks the reader, one that needs too much memory, one that never ends.

use std::time::{Duration, Instant};

use api::member::Role;
use serde_json::json;
use system_tests::sample::Orders;
use system_tests::{Sandbox, eventually};

use super::work::{ENOUGH, counted, right};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_input_fails_its_job_with_the_file_s_name_and_nothing_else() {
    let stack = Sandbox::raft().auxiliaries(1).start().await;
    let api = stack.api();
    let orders = Orders::write(&stack.data, "orders", 2, 3_000);
    let all = json!({ "query": "SELECT * FROM orders", "tables": { "orders": { "uri": orders.uri(), "format": "csv" } } });
    let good = api.succeed(&all, ENOUGH).await;
    let parquet = api.result(good["id"].as_str().unwrap(), "parquet").await.body;
    // The footer is whole, so that nothing is noticed before the pages are read.
    for (number, at) in [parquet.len() / 8, parquet.len() / 3, parquet.len() / 2]
        .into_iter()
        .enumerate()
    {
        let mut bytes = parquet.to_vec();
        for byte in bytes.iter_mut().skip(at).take(64) {
            *byte = !*byte;
        }
        let file = stack.data.join(format!("damaged-{number}.parquet"));
        std::fs::write(&file, bytes).unwrap();
        let spec = json!({
            "query": "SELECT region, sum(amount), sum(customer), sum(id) FROM t GROUP BY region",
            "tables": { "t": { "uri": format!("file://{}", file.display()) } },
        });
        let id = api.submit(&spec).await;
        let job = api.finished(&id, ENOUGH).await;
        assert_eq!(job["state"], "failed", "{job:#}");
        let detail = job["error"]["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("damaged-{number}.parquet")), "{detail}");
    }
    let again = api.submit(&orders.revenue_by_region()).await;
    right(&api, &again, &orders.revenue_by_region_answer()).await;
    assert_eq!(counted(&stack.masters, "job_workers", &[]).await, 2.0, "no worker was lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_that_needs_too_much_memory_says_what_to_raise_and_the_worker_lives() {
    let mut stack = Sandbox::raft()
        .auxiliaries(1)
        .set(Role::Worker, "WORKER_MEMORY", "64MiB")
        .start()
        .await;
    let api = stack.api();
    let orders = Orders::write(&stack.data, "orders", 4, 4_000);
    // All rows of one side have the same key: no number of partitions makes it smaller.
    let spec = json!({
        "query": "SELECT count(*), max(a.filler || b.filler) FROM (SELECT 1 AS k, id, repeat('x', 16000) || id AS filler FROM orders) a \
                  JOIN (SELECT 1 AS k, id, repeat('y', 16000) || id AS filler FROM orders) b ON a.k = b.k AND a.id < b.id",
        "tables": { "orders": { "uri": orders.uri(), "format": "csv" } },
    });
    let id = api.submit(&spec).await;
    let job = api.finished(&id, ENOUGH).await;
    assert_eq!(job["state"], "failed", "{job:#}");
    let detail = job["error"]["detail"].as_str().unwrap();
    assert!(detail.contains("WORKER_MEMORY"), "{detail}");
    let again = api.submit(&orders.revenue_by_region()).await;
    right(&api, &again, &orders.revenue_by_region_answer()).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_without_end_is_cancelled_within_a_second_and_ends_at_its_time_out() {
    let mut stack = Sandbox::raft().auxiliaries(1).start().await;
    let api = stack.api();
    let orders = Orders::write(&stack.data, "orders", 4, 4_000);
    let mut spec = json!({
        "query": "SELECT count(*) FROM orders a, orders b, orders c, orders d WHERE a.id + b.id + c.id + d.id < 0",
        "tables": { "orders": { "uri": orders.uri(), "format": "csv" } },
    });
    let id = api.submit(&spec).await;
    eventually("it to be under way", Duration::from_secs(60), || async {
        let busy = counted(&stack.workers, "worker_slots_in_use", &[]).await;
        let job = api.job(&id).await?;
        if busy > 0.0 && job["state"] == "running" {
            Ok(())
        } else {
            Err(job.to_string())
        }
    })
    .await;
    api.delete(&format!("/jobs/{id}")).await.expect(200);
    let cancelled = Instant::now();
    eventually("the slots to be free", Duration::from_secs(5), || async {
        let busy = counted(&stack.workers, "worker_slots_in_use", &[]).await;
        if busy == 0.0 { Ok(()) } else { Err(format!("{busy} in use")) }
    })
    .await;
    assert!(
        cancelled.elapsed() < Duration::from_secs(2),
        "after {:?}",
        cancelled.elapsed()
    );

    spec["timeout"] = json!(3);
    let id = api.submit(&spec).await;
    let job = api.finished(&id, Duration::from_secs(30)).await;
    assert_eq!(
        (&job["state"], &job["error"]["code"]),
        (&json!("failed"), &json!("timeout")),
        "{job:#}"
    );
    let again = api.submit(&orders.revenue_by_region()).await;
    right(&api, &again, &orders.revenue_by_region_answer()).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}
