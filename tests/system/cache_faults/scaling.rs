//! A node more, and a node less, under load.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use system_tests::workload::Workload;
use system_tests::{Api, Sandbox};

use super::{Fault, Limits, rounds};

const CHANGED: Duration = Duration::from_secs(60);
/// Keys of each client that only the sync brings to their new owners.
const COLD: u16 = 200;
/// Keys whose owners are asked for.
const PLACED: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auxiliary_added_and_another_drained_under_load_cost_no_entry() {
    let mut stack = Sandbox::etcd(1).workers(0).start().await;
    let api = stack.api();
    let load = Workload::through(&stack.doors()).cold(COLD);
    let fault = Fault::begin_with("an auxiliary added, another one drained", &stack, load).await;
    let three = primaries(&api).await;
    let before = stack.epoch().await;
    let newcomer = stack.add_auxiliary();
    let with_four = stack.settled(&[0, 1, 2, newcomer], before, CHANGED).await;
    let four = primaries(&api).await;
    // About 1/(N+1) of the keys, and all to the newcomer. One in eight of its share is what virtual nodes leave to chance.
    let moved: Vec<_> = three.iter().filter(|(key, node)| four[*key] != **node).collect();
    let name = stack.auxiliaries[newcomer].name();
    assert!(moved.iter().all(|(key, _)| four[*key] == name), "{moved:?}");
    let share = moved.len() as f64 / PLACED as f64;
    assert!((0.19..0.31).contains(&share), "{share} of the keys moved");

    let drained = stack.auxiliaries[1].name().to_owned();
    let answer = api.request("POST", &format!("/nodes/{drained}/drain")).send().await;
    assert!(matches!(answer.status, 200 | 202), "{answer}");
    let without = stack.settled(&[0, 2, newcomer], with_four, CHANGED).await;
    let rest = primaries(&api).await;
    for (key, node) in &four {
        let stays = rest[key] == *node;
        assert_eq!(stays, *node != drained, "{key} of {node} is now at {}", rest[key]);
    }
    stack.auxiliaries[1].stop(Duration::from_secs(60)).await;

    for _ in 1..rounds() {
        stack.auxiliaries[1].start();
        let back = stack.settled(&[0, 1, 2, newcomer], without, CHANGED).await;
        stack.auxiliaries[1].ready(CHANGED).await;
        api.request("POST", &format!("/nodes/{drained}/drain")).send().await;
        stack.settled(&[0, 2, newcomer], back, CHANGED).await;
        stack.auxiliaries[1].stop(Duration::from_secs(60)).await;
    }
    fault.end(&mut stack, &[0, 2, newcomer], Limits::NONE).await;
}

/// First owner of some keys.
async fn primaries(api: &Api) -> BTreeMap<String, String> {
    let asked = (0..PLACED).map(|key| async move {
        let key = format!("placed-{key}");
        let placed = api.get(&format!("/ring?key={key}")).await.expect(200).json();
        (key, placed["owners"][0]["node"].as_str().unwrap_or_default().to_owned())
    });
    stream::iter(asked).buffer_unordered(8).collect().await
}
