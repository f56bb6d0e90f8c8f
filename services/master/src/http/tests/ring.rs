//! `/ring`, `/rebalance` and drains.

use api::member::Phase;
use cluster::keys;
use control::{Consistency, Op, Txn};
use serde_json::{Value, json};

use super::eventually;
use super::stack::Stack;

async fn stored(stack: &Stack, key: &str) -> Option<Value> {
    let entry = stack.store.store.get(key, Consistency::Linearizable).await.unwrap();
    entry.map(|entry| serde_json::from_slice(&entry.value).unwrap())
}

async fn remove(stack: &Stack, key: &str) {
    let txn = Txn {
        then: vec![Op::Delete { key: key.to_owned() }],
        ..Txn::default()
    };
    stack.store.store.txn(txn).await.unwrap();
}

#[tokio::test]
async fn key_has_readers_and_copies_in_every_phase() {
    let stack = Stack::start(3, 2).await;
    let placed = stack.get("/ring?key=k").await.expect(200).json();
    assert_eq!(
        (&placed["phase"], placed["readers"].as_array().unwrap().len()),
        (&json!("stable"), 2)
    );
    assert_eq!(
        (&placed["owners"][0]["node"], &placed["copies"][0]),
        (&placed["readers"][0], &placed["readers"][1])
    );
    let written = stack.ask("PUT", "/cache/?key=k&value=v").await.expect(200).json();
    assert_eq!(written["node"], placed["owners"][0]["node"]);

    let all: Vec<_> = stack.nodes.iter().map(|node| node.ring_member()).collect();
    let rest: Vec<_> = all
        .iter()
        .filter(|member| placed["owners"][0]["node"] != member.id.as_str())
        .cloned()
        .collect();
    stack.write_ring(2, Phase::Moving, 2, rest, Some(all)).await;
    let moving = stack.get("/ring?key=k").await.expect(200).json();
    assert_eq!((&moving["phase"], &moving["readers"]), (&json!("moving"), &placed["readers"]));
    assert_eq!(moving["owners"].as_array().unwrap().len(), 3, "{moving}");
    stack.get("/ring?key=").await.problem(400, "invalid_argument", "empty");
}

#[tokio::test]
async fn ring_without_a_key_shows_its_members() {
    let stack = Stack::start(2, 2).await;
    let ring = stack.get("/ring").await.expect(200).json();
    assert_eq!(
        (&ring["replicas"], &ring["epoch"], &ring["previous"]),
        (&json!(2), &json!(1), &Value::Null)
    );
    let shares: f64 = ring["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["share"].as_f64().unwrap())
        .sum();
    assert!((0.999..1.001).contains(&shares), "{ring}");
    let all: Vec<_> = stack.nodes.iter().map(|node| node.ring_member()).collect();
    stack.write_ring(2, Phase::Settling, 2, all[..1].to_vec(), Some(all)).await;
    let ring = stack.get("/ring").await.expect(200).json();
    let count = |layout: &str| ring[layout].as_array().unwrap().len();
    assert_eq!(
        (&ring["phase"], count("members"), count("previous")),
        (&json!("settling"), 1, 2)
    );
}

#[tokio::test]
async fn rebalance_is_asked_of_the_leader_and_waited_for() {
    let stack = Stack::start(2, 2).await;
    let asked = stack.ask("POST", "/rebalance").await.expect(202).json();
    assert_eq!((&asked["done"], &asked["from_epoch"]), (&json!(false), &json!(1)));
    let nothing = json!({ "buckets_done": 0, "buckets": 0, "entries": 0, "bytes": 0 });
    assert_eq!(asked["sync"], nothing, "what earlier range syncs did is not its doing");
    let nodes = stack.get("/nodes").await.expect(200).json();
    assert_eq!(nodes["rebalancing"], true);
    assert!(
        asked["asked_revision"].as_u64() > nodes["ring_revision"].as_u64(),
        "{asked} {nodes}"
    );
    assert!(stored(&stack, keys::REBALANCE).await.is_some());
    remove(&stack, keys::REBALANCE).await;
    let leader = async {
        eventually(|| async { stored(&stack, keys::REBALANCE).await.is_some() }).await;
        let all: Vec<_> = stack.nodes.iter().map(|node| node.ring_member()).collect();
        remove(&stack, keys::REBALANCE).await;
        stack.write_ring(2, Phase::Moving, 2, all.clone(), Some(all.clone())).await;
        stack.have_synced(2);
        stack.write_ring(3, Phase::Settling, 2, all.clone(), Some(all.clone())).await;
        stack.write_ring(4, Phase::Stable, 2, all, None).await;
    };
    let waiting = stack.ask_with("POST", "/rebalance", &[("prefer", "wait=20")], "");
    let (done, ()) = tokio::join!(waiting, leader);
    let done = done.expect(200).json();
    assert_eq!(
        (&done["done"], &done["epoch"], &done["phase"]),
        (&json!(true), &json!(4), &json!("stable"))
    );
    let all = json!({ "buckets_done": 6, "buckets": 8, "entries": 10, "bytes": 12 });
    assert_eq!(done["sync"], all, "what was done for it, now that it is done");
    let nodes = stack.get("/nodes").await.expect(200).json();
    assert!(
        done["asked_revision"].as_u64() < nodes["ring_revision"].as_u64(),
        "{done} {nodes}"
    );
    assert_eq!(nodes["rebalancing"], false);
    let refused = stack.ask_with("POST", "/rebalance", &[("prefer", "wait=soon")], "").await;
    refused.problem(400, "invalid_argument", "number of seconds");
}

#[tokio::test]
async fn drain_names_the_life_that_leaves() {
    let stack = Stack::start(3, 2).await;
    let asked = stack.ask("POST", "/nodes/auxiliary-2/drain").await.expect(202).json();
    assert_eq!((&asked["node"], &asked["done"]), (&json!("auxiliary-2"), &json!(false)));
    let request = stored(&stack, &keys::drain(&stack.nodes[1].member.id)).await.unwrap();
    assert_eq!(request, json!({ "boot_id": stack.nodes[1].member.boot_id }));
    let all: Vec<_> = stack.nodes.iter().map(|node| node.ring_member()).collect();
    let rest = vec![all[0].clone(), all[2].clone()];
    stack.write_ring(2, Phase::Moving, 2, rest.clone(), Some(all.clone())).await;
    stack.have_synced(2);
    for (epoch, phase) in [(2, Phase::Moving), (3, Phase::Settling)] {
        stack.write_ring(epoch, phase, 2, rest.clone(), Some(all.clone())).await;
        let joined = stack.ask("POST", "/nodes/auxiliary-2/drain").await.expect(202).json();
        assert_eq!(
            joined["sync"]["entries"], 15,
            "what was done before it was asked again counts"
        );
    }
    stack.write_ring(4, Phase::Stable, 2, rest, None).await;
    let again = stack.ask("POST", "/nodes/auxiliary-2/drain").await.expect(200).json();
    assert_eq!(
        (&again["done"], &again["sync"]["entries"]),
        (&json!(true), &json!(10)),
        "it is out already"
    );
}

#[tokio::test]
async fn drain_is_refused_when_too_few_would_be_left_or_nobody_is_called_so() {
    let stack = Stack::start(2, 2).await;
    let refused = stack.ask("POST", "/nodes/auxiliary-2/drain").await;
    refused.problem(409, "conflict", "1 would be left, and 2 copies");
    assert!(stored(&stack, &keys::drain(&stack.nodes[1].member.id)).await.is_none());
    for name in ["auxiliary-9", "master-1", "NO%20NAME"] {
        let unknown = stack.ask("POST", &format!("/nodes/{name}/drain")).await;
        unknown.problem(404, "not_found", "GET /nodes");
    }
}
