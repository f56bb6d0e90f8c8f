//! Leaders that come and go.

use std::time::Duration;

use axum::http::StatusCode;
use cluster::keys::LEADER;
use control::{Op, Txn};
use serde_json::json;

use super::stack::{Master, Store, job};
use super::worker::Worker;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn ended_jobs_stay_readable_under_the_next_leader() {
    let store = Store::open().await;
    let first = Master::leading(&store).await;
    let id = first.submit(json!({})).await;
    Worker::of(&first).work().await;
    first.until(&id, "succeeded").await;
    first.stop().await;
    let second = Master::start(&store, "master-2", DAY).await;
    second.leads().await;
    let rows = second.ask("GET", &format!("/jobs/{id}/result"), None).await.json();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    assert!(Worker::of(&second).poll(50).await.start.is_empty(), "it is not run again");
}

#[tokio::test]
async fn a_master_that_does_not_lead_forwards_orders_and_reads_for_itself() {
    let store = Store::open().await;
    let leader = Master::leading(&store).await;
    let follower = Master::start(&store, "master-2", DAY).await;
    let id = follower.submit(json!({})).await;
    assert_eq!(
        follower.ask("GET", &format!("/jobs/{id}"), None).await.json()["state"],
        "queued"
    );
    let refused = Worker::of(&follower).poll_raw(0).await;
    assert_eq!(refused.status.as_u16(), 421, "workers poll the leader only");

    let keyed = [("idempotency-key", "k")];
    follower.ask_with("POST", "/jobs", &keyed, Some(job(json!({})))).await;
    let conflict = follower
        .ask_with("POST", "/jobs", &keyed, Some(job(json!({ "priority": 9 }))))
        .await;
    assert_eq!(
        conflict.status,
        StatusCode::CONFLICT,
        "the leader's answer comes through: {}",
        conflict.text()
    );

    Worker::of(&leader).plan().await;
    let cancelled = follower.ask("DELETE", &format!("/jobs/{id}"), None).await;
    assert_eq!(cancelled.json()["state"], "cancelled", "{}", cancelled.text());
}

#[tokio::test]
async fn a_deposed_leader_accepts_nothing() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let id = master.submit(json!({})).await;
    // Somebody takes the seat who answers nobody; whether this master has heard of it must not matter.
    let seat = Op::Put {
        key: LEADER.to_owned(),
        value: "{}".into(),
        lease: None,
    };
    let vacate = Op::Delete { key: LEADER.to_owned() };
    for step in [vacate, seat] {
        store
            .store
            .txn(Txn {
                then: vec![step],
                ..Txn::default()
            })
            .await
            .unwrap();
    }
    let refused = master.ask("POST", "/jobs", Some(job(json!({})))).await;
    assert!(
        refused.status.is_server_error() || refused.status.as_u16() == 421,
        "{}",
        refused.text()
    );
    let jobs = master.ask("GET", "/jobs", None).await.json();
    assert_eq!(jobs["items"].as_array().unwrap().len(), 1);
    assert_eq!(jobs["items"][0]["id"], id.as_str());
}
