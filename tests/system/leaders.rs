//! Masters that lead, and stop leading: three of them on one etcd.

use std::time::{Duration, Instant};

use serde_json::json;
use system_tests::sample::Orders;
use system_tests::{Api, Sandbox, eventually};

/// Life of the leader's lease without a keep-alive, as in `cluster::LEASE_TTL`.
const LEASE: Duration = Duration::from_secs(10);
/// What may come on top: etcd's own granularity, the watch, a campaign, and a busy machine.
const SLACK: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_master_leads_within_the_lease_and_finishes_the_job_under_way() {
    let mut stack = Sandbox::etcd(1).start().await;
    let api = stack.api();
    let orders = Orders::write(&stack.data, "orders", 8, 2_000);
    let leader = stack.leader(Duration::from_secs(20)).await;
    let id = api.submit(&orders.pairs_by_region()).await;
    under_way(&api, &id).await;

    stack.masters[leader].kill();
    let killed = Instant::now();
    // Reads, the cache and /kv never noticed: NGINX asks the others.
    for i in 0..30 {
        api.put(&format!("/cache/meanwhile-{i}"), "v").await.expect(201);
        api.put(&format!("/kv/meanwhile-{i}"), "v").await.expect(201);
        assert!(api.job(&id).await.is_ok());
    }
    assert!(killed.elapsed() < LEASE, "that was to be asked while nobody leads");
    let next = stack.leader(LEASE + SLACK).await;
    assert_ne!(next, leader);

    // Refused while nobody led, not lost and not executed twice: the same key names the same job.
    let submitted = eventually("submissions to work again", LEASE + SLACK, || async {
        let request = api.request("POST", "/jobs").header("idempotency-key", "after-the-crash");
        let answer = request.json(&orders.revenue_by_region()).attempt().await?;
        if answer.status == 202 {
            Ok(answer.json())
        } else {
            Err(answer.to_string())
        }
    })
    .await;
    assert!(
        killed.elapsed() < LEASE + SLACK,
        "submissions worked again after {:?}",
        killed.elapsed()
    );

    let job = api.finished(&id, Duration::from_secs(180)).await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    assert_eq!(api.result(&id, "json").await.json(), orders.pairs_by_region_answer());
    let second = submitted["id"].as_str().unwrap();
    assert_eq!(api.finished(second, Duration::from_secs(90)).await["state"], "succeeded");
    assert_eq!(api.result(second, "json").await.json(), orders.revenue_by_region_answer());

    stack.masters[leader].start();
    stack.masters[leader].ready(Duration::from_secs(60)).await;
    assert_eq!(stack.leader(Duration::from_secs(5)).await, next, "who comes back follows");
    assert_eq!(stack.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_that_was_asleep_finds_itself_deposed_and_writes_nothing() {
    let mut stack = Sandbox::etcd(1).start().await;
    let api = stack.api();
    let records = stack.etcd.as_ref().unwrap().records();
    let orders = Orders::write(&stack.data, "orders", 8, 2_000);
    let leader = stack.leader(Duration::from_secs(20)).await;
    let other = stack.masters[(leader + 1) % 3].public();
    let id = other.submit(&orders.pairs_by_region()).await;
    under_way(&other, &id).await;

    // Asleep with the job in its hands, its sockets open and silent.
    stack.masters[leader].process().signal("STOP");
    let deposed_at = records.get("leader").await.unwrap().create_revision;
    let seat = eventually("another leader", LEASE + SLACK, || async {
        match records.get("leader").await {
            Some(seat) if seat.create_revision > deposed_at => Ok(seat),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let job = other.finished(&id, Duration::from_secs(180)).await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    let before = (records.get("ring").await, records.list("jobs/").await);

    stack.masters[leader].process().signal("CONT");
    let (asleep, private) = (stack.masters[leader].public(), stack.masters[leader].private());
    eventually("it to know that it leads no more", Duration::from_secs(20), || async {
        let metrics = private.request("GET", "/metrics").attempt().await?.text();
        let seen = asleep.request("GET", "/nodes").attempt().await?.json();
        let follows = metrics.contains("cluster_is_leader 0");
        let named = seen["leader"]
            .as_str()
            .is_some_and(|name| name != format!("master-{}", leader + 1));
        if follows && named { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
    let poll = json!({
        "worker": "worker-9", "boot_id": "6f1c3a0e-9a51-4d5e-8a3c-000000000009", "address": "127.0.0.1:1", "slots": 1, "running": [], "wait_ms": 0,
    });
    let answer = private
        .request("POST", "/internal/v1/jobs/poll")
        .header("x-cluster-token", &stack.token)
        .json(&poll)
        .send()
        .await;
    answer.problem(421, api::ErrorCode::NotLeader);

    let after = (records.get("ring").await, records.list("jobs/").await);
    assert_eq!(before, after, "a deposed leader wrote something");
    assert_eq!(
        records.get("leader").await.unwrap().create_revision,
        seat.create_revision,
        "the seat changed hands again"
    );
    assert_eq!(api.result(&id, "json").await.json(), orders.pairs_by_region_answer());

    // And it serves again as any other master.
    let answer = asleep.succeed(&orders.revenue_by_region(), Duration::from_secs(90)).await;
    let rows = asleep.result(answer["id"].as_str().unwrap(), "json").await.json();
    assert_eq!(rows, orders.revenue_by_region_answer());
    assert_eq!(stack.panics(), Vec::<String>::new());
}

/// Waits until some tasks of the job are done and others are not.
async fn under_way(api: &Api, id: &str) {
    eventually("the job to be under way", Duration::from_secs(60), || async {
        let job = api.job(id).await?;
        let tasks = &job["progress"]["tasks"];
        let (done, total) = (tasks["done"].as_u64(), tasks["total"].as_u64());
        assert!(job["state"] != "succeeded", "the job is too quick for this test");
        if job["state"] == "running" && done > Some(0) && done < total {
            Ok(())
        } else {
            Err(job.to_string())
        }
    })
    .await;
}
