//! Changes as they happen: ordered, each once, without a gap, from wherever a client left off.

use serde_json::json;

use super::{Side, on_both_engines};

on_both_engines! {
    changes_come_in_order_with_their_revisions
    watch_resumes_after_the_last_event
    watch_resumes_in_the_middle_of_a_transaction
    client_that_saw_nothing_yet_can_resume
    expiry_is_a_delete
    compacted_history_is_said_to_be
    wrong_beginnings_are_refused
}

fn revision(etag: &str) -> u64 {
    etag.trim_matches('"').parse().unwrap()
}

async fn changes_come_in_order_with_their_revisions(kv: Side) {
    let first = revision(kv.put("/kv/w%2Fa", "1").await.expect(201).header("etag"));
    let mut events = kv.watch("/kv/_watch?prefix=w/", &[]).await;
    let listening = events.next().await.unwrap();
    assert_eq!(
        (&*listening.name, &listening.data),
        ("listening", &json!({ "revision": first }))
    );
    let put = revision(kv.put("/kv/w%2Fb", "2").await.expect(201).header("etag"));
    kv.put("/kv/other", "not watched").await.expect(201);
    kv.ask("DELETE", "/kv/w%2Fa").await.expect(204);
    let told = events.take(2).await;
    assert_eq!(told[0].data, json!({ "key": "w/b", "value": "2", "revision": put }));
    assert_eq!((&*told[0].name, told[0].id.clone()), ("put", put.to_string()));
    assert_eq!(
        (told[1].change(), told[1].data["revision"].as_u64()),
        (("delete", "w/a"), Some(put + 2))
    );
}

async fn watch_resumes_after_the_last_event(kv: Side) {
    let mut revisions = Vec::new();
    for i in 0..5 {
        revisions.push(revision(kv.put(&format!("/kv/w{i}"), "v").await.expect(201).header("etag")));
    }
    let mut from = kv.watch(&format!("/kv/_watch?prefix=w&from={}", revisions[2]), &[]).await;
    assert_eq!(from.next().await.unwrap().data["revision"], revisions[2] - 1);
    let told = from.take(3).await;
    assert_eq!(
        told.iter().map(|event| event.change().1).collect::<Vec<_>>(),
        ["w2", "w3", "w4"]
    );
    // The header goes before the parameter: browsers repeat the address they began with.
    let path = format!("/kv/_watch?prefix=w&from={}", revisions[0]);
    let mut resumed = kv.watch(&path, &[("last-event-id", &told[1].id)]).await;
    assert_eq!(resumed.next().await.unwrap().id, told[1].id);
    assert_eq!(resumed.next().await.unwrap(), told[2]);
}

async fn watch_resumes_in_the_middle_of_a_transaction(kv: Side) {
    let steps: Vec<_> = ["a", "b", "c"]
        .map(|key| json!({ "op": "put", "key": key, "value": "v" }))
        .to_vec();
    let at = kv
        .json("POST", "/kv/_txn", &json!({ "then": steps }))
        .await
        .expect(200)
        .json()["revision"]
        .as_u64()
        .unwrap();
    kv.put("/kv/d", "v").await.expect(201);
    let all = kv.watch(&format!("/kv/_watch?from={at}"), &[]).await.take(5).await;
    let ids: Vec<&str> = all.iter().map(|event| &*event.id).collect();
    let (one, two, three, next) = (format!("{at}.1"), format!("{at}.2"), at.to_string(), (at + 1).to_string());
    assert_eq!(ids[1..], [&*one, &*two, &*three, &*next], "{all:?}");
    for seen in 1..4 {
        let mut resumed = kv.watch("/kv/_watch", &[("last-event-id", ids[seen])]).await;
        assert_eq!(resumed.next().await.unwrap().id, ids[seen]);
        assert_eq!(resumed.take(4 - seen).await, all[seen + 1..], "after {}", ids[seen]);
    }
}

async fn client_that_saw_nothing_yet_can_resume(kv: Side) {
    let mut events = kv.watch("/kv/_watch", &[]).await;
    let id = events.next().await.unwrap().id;
    drop(events);
    kv.put("/kv/meanwhile", "v").await.expect(201);
    let mut resumed = kv.watch("/kv/_watch", &[("last-event-id", &id)]).await;
    assert_eq!(resumed.take(2).await[1].change(), ("put", "meanwhile"));
}

async fn expiry_is_a_delete(kv: Side) {
    let mut events = kv.watch("/kv/_watch?prefix=brief", &[]).await;
    kv.put("/kv/brief?ttl=1", "v").await.expect(201);
    let told = events.take(3).await;
    assert_eq!((told[1].change(), told[2].change()), (("put", "brief"), ("delete", "brief")));
}

async fn compacted_history_is_said_to_be(kv: Side) {
    let first = revision(kv.put("/kv/k", "1").await.expect(201).header("etag"));
    let mut last = first;
    for i in 0..10 {
        last = revision(kv.put("/kv/k", i.to_string()).await.expect(200).header("etag"));
    }
    kv.compact(last).await;
    let mut events = kv.watch(&format!("/kv/_watch?from={first}"), &[]).await;
    let mut told = events.next().await.unwrap();
    if told.name == "listening" {
        told = events.next().await.unwrap();
    }
    assert_eq!(
        (&*told.name, told.data["requested"].as_u64()),
        ("compacted", Some(first)),
        "{told:?}"
    );
    let oldest = told.data["oldest"].as_u64().unwrap();
    assert!(oldest > first, "{told:?}");
    assert_eq!(events.next().await, None, "it ends there");

    // As it says: list again, and watch from there.
    let listed = kv.get("/kv").await.expect(200).json()["revision"].as_u64().unwrap();
    let mut events = kv.watch(&format!("/kv/_watch?prefix=k&from={}", listed + 1), &[]).await;
    kv.put("/kv/k", "new").await.expect(200);
    assert_eq!(events.take(2).await[1].data["value"], "new");
}

async fn wrong_beginnings_are_refused(kv: Side) {
    for wrong in ["from=now", "from=-1", "prefix=%FF", "since=1"] {
        kv.get(&format!("/kv/_watch?{wrong}"))
            .await
            .problem(400, "invalid_argument", "");
    }
    for wrong in ["x", "1.2.3", "-1"] {
        let refused = kv.ask_with("GET", "/kv/_watch", &[("last-event-id", wrong)], "").await;
        refused.problem(400, "invalid_argument", "Last-Event-ID");
    }
}
