//! `elasticore nodes`, its changes of the ring, and `elasticore ring`.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::fake::{Fake, Reply};
use crate::program::run;

const BOOT: &str = "6b3cbe4c-3b6f-4c80-a1c6-6f2a5a3a8f10";

fn auxiliary(id: &str, changes: &Value) -> Value {
    let mut node = json!({ "id": id, "role": "auxiliary", "boot_id": BOOT, "address": "127.0.0.1:3001", "weight": 1,
        "started_at_ms": 0, "version": "0.1.0", "leader": false, "share": 0.5, "draining": false, "cache": status(3, true) });
    for (key, value) in changes.as_object().unwrap() {
        node[key] = value.clone();
    }
    node
}

fn status(epoch: u64, synced: bool) -> Value {
    json!({ "boot_id": BOOT, "epoch": epoch, "synced": synced, "entries": 7, "bytes": 2048, "unreachable": [] })
}

fn nodes(epoch: u64, phase: &str) -> Value {
    json!({ "leader": "master-1", "epoch": epoch, "phase": phase, "nodes": [auxiliary("auxiliary-1", &json!({}))] })
}

fn change(done: bool, epoch: u64, phase: &str) -> Value {
    let sync = json!({ "buckets_done": 0, "buckets": 0, "entries": 0, "bytes": 0 });
    json!({ "done": done, "from_epoch": 3, "epoch": epoch, "phase": phase, "sync": sync })
}

#[tokio::test]
async fn auxiliaries_show_what_they_hold_and_what_they_do() {
    let all = json!({ "leader": null, "epoch": 3, "phase": "moving", "nodes": [
        auxiliary("auxiliary-1", &json!({})),
        auxiliary("auxiliary-2", &json!({ "cache": status(3, false) })),
        auxiliary("auxiliary-3", &json!({ "cache": null, "error": "no answer" })),
        auxiliary("auxiliary-4", &json!({ "draining": true, "share": null })),
        auxiliary("auxiliary-5", &json!({ "draining": true, "share": null, "cache": status(3, false) })),
        auxiliary("auxiliary-6", &json!({ "share": null, "cache": status(3, false) })),
    ] });
    let fake = Fake::always(Reply::json(200, all)).await;
    let ended = run(&fake.endpoint, &["nodes"]).await;
    let rows: Vec<Vec<&str>> = ended.text().lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(&rows[0][4..8], ["SHARE", "STATE", "ENTRIES", "MEMORY"], "{}", ended.stderr);
    assert_eq!(&rows[1][4..8], ["50.0%", "synced", "7", "2.00 KiB"]);
    let states: Vec<&str> = rows[1..].iter().map(|row| row[5]).collect();
    assert_eq!(states, ["synced", "syncing", "silent", "handing over", "drained", "waiting"]);
}

#[tokio::test]
async fn drain_is_waited_for_until_it_is_done() {
    let asked = AtomicUsize::new(0);
    let fake = Fake::new(move |request| match request.target.as_str() {
        "/nodes/auxiliary-1/drain" if asked.fetch_add(1, Ordering::SeqCst) == 0 => Reply::json(202, change(false, 4, "moving")),
        "/nodes/auxiliary-1/drain" => Reply::json(200, change(true, 6, "stable")),
        _ => Reply::json(200, nodes(4, "moving")),
    })
    .await;
    let ended = run(&fake.endpoint, &["nodes", "drain", "auxiliary-1"]).await;
    assert_eq!(
        (ended.code, ended.text()),
        (0, "auxiliary-1 has left the ring, epoch 6; it may be stopped\n"),
        "{}",
        ended.stderr
    );
    let drains = fake
        .asked()
        .into_iter()
        .filter(|asked| asked.line() == "POST /nodes/auxiliary-1/drain");
    assert!(
        drains
            .map(|asked| asked.header("prefer").map(str::to_owned))
            .all(|wait| wait.as_deref() == Some("wait=20"))
    );
}

#[tokio::test]
async fn change_that_is_not_waited_for_is_asked_for_once() {
    let fake = Fake::always(Reply::json(202, change(false, 3, "stable"))).await;
    let ended = run(&fake.endpoint, &["nodes", "drain", "auxiliary-1", "--no-wait"]).await;
    assert!(
        ended.code == 0 && ended.text().contains("elasticore nodes"),
        "{}",
        ended.text()
    );
    assert_eq!(fake.only().header("prefer"), None);
}

#[tokio::test]
async fn refused_drain_is_exit_code_4() {
    let fake = Fake::always(Reply::problem(409, "conflict", "1 would be left")).await;
    let ended = run(&fake.endpoint, &["nodes", "drain", "auxiliary-1"]).await;
    assert!(
        ended.code == 4 && ended.stderr.contains("1 would be left"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn rebalance_that_takes_longer_is_not_asked_for_again() {
    let looks = AtomicUsize::new(0);
    let fake = Fake::new(move |request| match request.target.as_str() {
        "/rebalance" => Reply::json(202, change(false, 4, "moving")),
        _ if looks.fetch_add(1, Ordering::SeqCst) == 0 => Reply::json(200, nodes(4, "moving")),
        _ => {
            let mut after = nodes(6, "stable");
            after["ring_revision"] = json!(9);
            Reply::json(200, after)
        }
    })
    .await;
    let ended = run(&fake.endpoint, &["nodes", "rebalance"]).await;
    assert_eq!((ended.code, ended.text()), (0, "rebalanced, epoch 6\n"), "{}", ended.stderr);
    assert_eq!(fake.asked().iter().filter(|asked| asked.target == "/rebalance").count(), 1);
}

#[tokio::test]
async fn rebalance_ends_with_its_own_change_and_not_with_one_before_it() {
    let looks = AtomicUsize::new(0);
    let seen = |epoch: u64, phase: &str, revision: u64, rebalancing: bool| {
        let mut nodes = nodes(epoch, phase);
        nodes["ring_revision"] = json!(revision);
        nodes["rebalancing"] = json!(rebalancing);
        nodes["nodes"][0]["cache"]["sync"] = json!({ "epoch": epoch.min(7), "buckets_done": 4, "buckets": 4, "entries": epoch, "bytes": 9,
            "dropped": 0, "started_at_ms": 1 });
        Reply::json(200, nodes)
    };
    let fake = Fake::new(move |request| match (request.target.as_str(), looks.load(Ordering::SeqCst)) {
        ("/rebalance", _) => {
            let mut asked = change(false, 4, "moving");
            asked["from_epoch"] = json!(4);
            asked["asked_revision"] = json!(100);
            Reply::json(202, asked)
        }
        (_, look) => {
            looks.fetch_add(1, Ordering::SeqCst);
            match look {
                // A master that has not heard of it.
                0 => seen(6, "stable", 99, false),
                // The change that was under way is over.
                1 => seen(6, "stable", 101, true),
                2 => seen(7, "moving", 102, false),
                _ => seen(9, "stable", 104, false),
            }
        }
    })
    .await;
    let ended = run(&fake.endpoint, &["nodes", "rebalance", "--output", "json"]).await;
    let told: Value = serde_json::from_str(ended.text()).expect("JSON");
    assert_eq!(
        (ended.code, &told["epoch"], &told["done"], &told["sync"]["entries"]),
        (0, &json!(9), &json!(true), &json!(9)),
        "{told} {}",
        ended.stderr
    );
}

#[tokio::test]
async fn ring_without_a_key_is_a_line_a_member() {
    let member =
        |node: &str, lost: bool| json!({ "node": node, "boot_id": BOOT, "weight": 1, "zone": "z", "share": 0.25, "lost": lost });
    let ring = json!({ "epoch": 5, "phase": "moving", "replicas": 2, "virtual_nodes": 256,
        "members": [member("auxiliary-1", false)], "previous": [member("auxiliary-2", true)] });
    let fake = Fake::always(Reply::json(200, ring)).await;
    let ended = run(&fake.endpoint, &["ring"]).await;
    let lines: Vec<&str> = ended.text().lines().collect();
    assert_eq!(
        lines[1..],
        [
            "auxiliary-1\tmember\t25.0%\t1\tz\t2\t5\tmoving",
            "auxiliary-2\tprevious, lost\t25.0%\t1\tz\t2\t5\tmoving"
        ],
        "{}",
        ended.stderr
    );
    assert_eq!(fake.only().line(), "GET /ring");
}
