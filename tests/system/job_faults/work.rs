//! Jobs that take a while in a stage of choice, with answers that need no database.

use std::time::Duration;

use serde_json::{Value, json};
use system_tests::sample::Orders;
use system_tests::{Api, Node, Sandbox, eventually};

/// Time for a job with a fault in the middle.
pub(super) const ENOUGH: Duration = Duration::from_secs(180);

/// Orders in several files, enough of them for several tasks.
pub(super) fn orders(stack: &Sandbox) -> Orders {
    Orders::write(&stack.data, "orders", 12, 600)
}

/// Its first stage takes long: every row costs a comparison of two texts, which get longer from row to row, so that tasks end one after
/// the other.
pub(super) fn slow_map(orders: &Orders) -> Value {
    json!({
        "query": "SELECT region, count(*) AS orders, sum(levenshtein(repeat('a', 100 + id / 12), repeat('b', 100 + id / 12 + amount % 7))) AS distance \
                  FROM orders GROUP BY region ORDER BY region",
        "tables": { "orders": { "uri": orders.uri(), "format": "csv" } },
    })
}

/// Its answer.
pub(super) fn slow_map_answer(orders: &Orders) -> Value {
    let mut regions = orders.revenue_by_region_answer();
    for region in regions.as_array_mut().into_iter().flatten() {
        let name = region["region"].as_str().unwrap().to_owned();
        let mine = (0..orders.rows()).filter(|id| Orders::region(*id) == name);
        let distance: u64 = mine.map(|id| 100 + id / 12 + Orders::amount(id) % 7).sum();
        *region = json!({ "region": name, "orders": region["orders"], "distance": distance });
    }
    regions
}

/// The same answer, with short tasks in the first stage and work for the later ones.
pub(super) fn slow_map_and_reduce(orders: &Orders) -> Value {
    json!({
        "query": "SELECT region, count(*) AS orders, sum(levenshtein(repeat('a', distance), repeat('b', distance)) + rest) AS distance FROM ( \
                    SELECT id, min(region) AS region, min(100 + id / 12 - 100 - id / 60) AS rest, \
                           max(levenshtein(repeat('a', 100 + id / 60), repeat('b', 100 + id / 60 + amount % 7))) AS distance \
                    FROM orders GROUP BY id) pairs \
                  GROUP BY region ORDER BY region",
        "tables": { "orders": { "uri": orders.uri(), "format": "csv" } },
    })
}

/// Its stages after the first take long: each order meets all the orders of its customer, and the pairs are compared.
pub(super) fn slow_reduce(orders: &Orders) -> Value {
    let mut spec = orders.pairs_by_region();
    spec["query"] = json!(
        "SELECT a.region, count(*) AS pairs, sum(a.amount + b.amount) AS revenue FROM orders a JOIN orders b ON a.customer = b.customer \
         WHERE levenshtein(repeat('a', 40 + a.amount % 7), repeat('b', 40 + b.amount % 7)) > 0 \
         GROUP BY a.region ORDER BY a.region"
    );
    spec
}

/// Its answer.
pub(super) fn slow_reduce_answer(orders: &Orders) -> Value {
    orders.pairs_by_region_answer()
}

/// Stages and tasks of a job that are done, and its tasks in all.
fn done(job: &Value) -> (u64, u64, u64) {
    let progress = &job["progress"];
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let stages = number(&progress["stages"]["done"]);
    (
        stages,
        number(&progress["tasks"]["done"]),
        number(&progress["tasks"]["total"]),
    )
}

/// Waits until a job has done some, and not all, of its first stage.
pub(super) async fn in_map(api: &Api, id: &str) {
    at(api, id, "in its first stage", |(stages, tasks, _)| stages == 0 && tasks > 0).await;
}

/// Waits until a job is past its first stage and not at its end.
pub(super) async fn in_reduce(api: &Api, id: &str) {
    at(api, id, "past its first stage", |(stages, tasks, total)| {
        stages > 0 && tasks < total
    })
    .await;
}

async fn at(api: &Api, id: &str, place: &str, is_there: impl Fn((u64, u64, u64)) -> bool) {
    eventually(&format!("job {id} to be {place}"), Duration::from_secs(90), || async {
        let job = api.job(id).await?;
        assert!(
            !matches!(job["state"].as_str(), Some("succeeded" | "failed" | "cancelled")),
            "the job ended before it was {place}: {job:#}"
        );
        if job["state"] == "running" && is_there(done(&job)) {
            Ok(())
        } else {
            Err(job.to_string())
        }
    })
    .await;
}

/// Waits until a job has succeeded with this answer, and gives it.
pub(super) async fn right(api: &Api, id: &str, answer: &Value) -> Value {
    let job = api.finished(id, ENOUGH).await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    assert_eq!(api.result(id, "json").await.json(), *answer, "{job:#}");
    job
}

/// Sum of a counter over nodes that answer.
pub(super) async fn counted(nodes: &[Node], family: &str, labels: &[&str]) -> f64 {
    let mut sum = 0.0;
    for node in nodes.iter().filter(|node| node.runs()) {
        let scrape = node.private().request("GET", "/metrics").attempt().await;
        sum += scrape.map_or(0.0, |answer| system_tests::Metrics::new(answer.text()).sum(family, labels));
    }
    sum
}

/// Waits until every worker has a task in hand.
pub(super) async fn all_busy(workers: &[Node]) {
    eventually("every worker to have a task in hand", Duration::from_secs(60), || async {
        for worker in workers {
            if counted(std::slice::from_ref(worker), "worker_slots_in_use", &[]).await < 1.0 {
                return Err(worker.name().to_owned());
            }
        }
        Ok(())
    })
    .await;
}
