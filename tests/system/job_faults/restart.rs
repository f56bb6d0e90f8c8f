//! The whole stack killed and started again: queued and running jobs carry on, and keys still name the same jobs.

use std::time::Duration;

use serde_json::Value;
use system_tests::{Api, Sandbox};

use super::work::{in_map, orders, right, slow_map, slow_map_answer};

async fn submit(api: &Api, key: &str, spec: &Value) -> String {
    let request = api.request("POST", "/jobs").header("idempotency-key", key).json(spec);
    let answer = request.send().await.expect(202).json();
    answer["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_it_killed_and_started_again_carries_on() {
    let mut stack = Sandbox::raft().auxiliaries(1).start().await;
    let (api, orders) = (stack.api(), orders(&stack));
    let ended = api.succeed(&orders.revenue_by_region(), Duration::from_secs(90)).await;
    let running = submit(&api, "the-long-one", &slow_map(&orders)).await;
    in_map(&api, &running).await;
    let mut queued = Vec::new();
    for number in 0..5 {
        queued.push(submit(&api, &format!("queued-{number}"), &orders.revenue_by_region()).await);
    }

    stack.nodes().for_each(system_tests::Node::kill);
    stack.nodes().for_each(system_tests::Node::start);
    for node in stack.nodes() {
        node.ready(Duration::from_secs(90)).await;
    }

    assert_eq!(
        submit(&api, "the-long-one", &slow_map(&orders)).await,
        running,
        "the same key names the same job"
    );
    right(&api, &running, &slow_map_answer(&orders)).await;
    for (number, id) in queued.iter().enumerate() {
        right(&api, id, &orders.revenue_by_region_answer()).await;
        assert_eq!(
            submit(&api, &format!("queued-{number}"), &orders.revenue_by_region()).await,
            *id
        );
    }
    let id = ended["id"].as_str().unwrap();
    assert_eq!(api.result(id, "json").await.json(), orders.revenue_by_region_answer());
    assert_eq!(stack.panics(), Vec::<String>::new());
}
