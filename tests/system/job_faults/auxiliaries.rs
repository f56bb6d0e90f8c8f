//! The data store under a job: an auxiliary dies while results are written, and while they are read; a copy is damaged.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use system_tests::sample::Orders;
use system_tests::{Api, Sandbox, eventually};

use super::work::ENOUGH;

/// Every order a hundred times: a result of some ten MiB in several blobs.
fn large(orders: &Orders) -> Value {
    json!({
        "query": "SELECT a.id, a.customer, a.region, b.n, repeat('x', 20) AS filler FROM orders a \
                  JOIN (SELECT DISTINCT amount % 100 AS n FROM orders) b ON b.n >= 0 ORDER BY a.id, b.n",
        "tables": { "orders": { "uri": orders.uri(), "format": "csv" } },
    })
}

fn assert_large(csv: &str, orders: &Orders) {
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("id,customer,region,n,filler"));
    let mut count = 0;
    for (number, line) in lines.enumerate() {
        let mut fields = line.split(',').map(str::to_owned);
        let (id, n) = (fields.next(), fields.nth(2));
        assert_eq!(id, Some((number / 100).to_string()), "line {number}: {line}");
        assert_eq!(n, Some((number % 100).to_string()), "line {number}: {line}");
        count += 1;
    }
    assert_eq!(count, orders.rows() * 100);
}

async fn csv(api: &Api, id: &str) -> String {
    let stream = api.request("GET", &format!("/jobs/{id}/result?format=csv")).stream().await;
    let mut body = Vec::new();
    let mut chunks = stream.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.expect("the result comes whole"));
    }
    String::from_utf8(body).expect("CSV is text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auxiliary_killed_while_results_are_written_and_then_while_they_are_read() {
    let mut stack = Sandbox::raft().auxiliaries(3).start().await;
    let api = stack.api();
    let orders = Orders::write(&stack.data, "orders", 6, 400);
    let id = api.submit(&large(&orders)).await;
    eventually("the first result to be on its way", Duration::from_secs(90), || async {
        let seen: usize = stack
            .auxiliaries
            .iter()
            .map(|node| blobs(&blob_dir(&stack, node.name())).len())
            .sum();
        if seen > 0 { Ok(()) } else { Err("no blob yet".to_owned()) }
    })
    .await;
    stack.auxiliaries[0].kill();
    let job = api.finished(&id, ENOUGH).await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    assert_large(&csv(&api, &id).await, &orders);

    // Two copies: with the first one back, another may go, in the middle of an answer.
    stack.auxiliaries[0].start();
    stack.auxiliaries[0].ready(Duration::from_secs(60)).await;
    stack.ring_of(&[0, 1, 2], Duration::from_secs(60)).await;
    let second = api.succeed(&large(&orders), ENOUGH).await["id"].as_str().unwrap().to_owned();
    let response = api
        .request("GET", &format!("/jobs/{second}/result?format=csv"))
        .stream()
        .await;
    let mut chunks = response.bytes_stream();
    let mut body = chunks.next().await.expect("it begins").expect("it begins").to_vec();
    stack.auxiliaries[1].kill();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.expect("another copy is read on"));
    }
    assert_large(&String::from_utf8(body).unwrap(), &orders);
    assert_large(&csv(&api, &second).await, &orders);
    assert_eq!(stack.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_copy_of_a_result_is_noticed_and_the_other_one_is_read() {
    let mut stack = Sandbox::raft().auxiliaries(2).start().await;
    let api = stack.api();
    let orders = Orders::write(&stack.data, "orders", 6, 400);
    let id = api.succeed(&large(&orders), ENOUGH).await["id"].as_str().unwrap().to_owned();
    let mine = blobs(&blob_dir(&stack, stack.auxiliaries[0].name()));
    assert!(!mine.is_empty(), "each of two auxiliaries has a copy of everything");
    for blob in &mine {
        let mut bytes = std::fs::read(blob).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(blob, bytes).unwrap();
    }
    assert_large(&csv(&api, &id).await, &orders);
    assert_eq!(stack.panics(), Vec::<String>::new());
}

/// Files of the blobs of an auxiliary.
fn blobs(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory.join("blobs")) else {
        return Vec::new();
    };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn blob_dir(stack: &Sandbox, name: &str) -> PathBuf {
    stack.directory().join(name).join("blobs")
}
