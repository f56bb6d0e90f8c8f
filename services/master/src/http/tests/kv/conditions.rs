//! Values, conditions, times to live.

use std::time::Duration;

use futures::future::join_all;

use super::{Side, on_both_engines};
use crate::http::tests::eventually;

on_both_engines! {
    values_are_kept_byte_for_byte
    writes_compare_revisions
    writes_want_absence_or_presence
    revision_zero_means_absent
    of_many_who_saw_one_revision_one_writes
    deletes_compare_too
    keys_vanish_after_their_ttl
    write_without_ttl_stays
    refused_write_keeps_the_ttl_there_was
    stale_reads_catch_up
}

async fn values_are_kept_byte_for_byte(kv: Side) {
    let every_byte: Vec<u8> = (0..=255).collect();
    kv.put("/kv/bytes", every_byte.clone()).await.expect(201);
    let read = kv.get("/kv/bytes").await.expect(200);
    assert_eq!(
        (read.body.as_slice(), read.header("content-type")),
        (every_byte.as_slice(), "application/octet-stream")
    );
    kv.put("/kv/empty", "").await.expect(201);
    assert_eq!(kv.get("/kv/empty").await.expect(200).text(), "");
    // One percent-encoded segment, whatever is in it.
    for key in ["a%2Fb%20c", "%5Ftxn", "%C3%A9", "...", "a%00b"] {
        kv.put(&format!("/kv/{key}"), key).await.expect(201);
        assert_eq!(kv.get(&format!("/kv/{key}")).await.expect(200).text(), key);
    }
    kv.get("/kv/a").await.problem(404, "not_found", "no such key");
}

async fn writes_compare_revisions(kv: Side) {
    let first = kv.put("/kv/k", "1").await.expect(201).header("etag").to_owned();
    let second = kv.put("/kv/k", "2").await.expect(200).header("etag").to_owned();
    assert_ne!(first, second);
    assert_eq!(kv.get("/kv/k").await.header("etag"), second);
    kv.ask_with("PUT", "/kv/k", &[("if-match", &first)], "3")
        .await
        .problem(412, "precondition_failed", second.trim_matches('"'));
    let third = kv.ask_with("PUT", "/kv/k", &[("if-match", &second)], "3").await.expect(200);
    assert_eq!(kv.get("/kv/k").await.header("etag"), third.header("etag"));
    assert_eq!(kv.get("/kv/k").await.text(), "3");
}

async fn writes_want_absence_or_presence(kv: Side) {
    kv.ask_with("PUT", "/kv/k", &[("if-match", "*")], "0")
        .await
        .problem(412, "precondition_failed", "");
    kv.ask_with("PUT", "/kv/k", &[("if-none-match", "*")], "1").await.expect(201);
    kv.ask_with("PUT", "/kv/k", &[("if-none-match", "*")], "2")
        .await
        .problem(412, "precondition_failed", "");
    kv.ask_with("PUT", "/kv/k", &[("if-match", "*")], "3").await.expect(200);
    assert_eq!(kv.get("/kv/k").await.text(), "3");
    for (name, value) in [("if-match", "abc"), ("if-none-match", "\"1\""), ("if-match", "")] {
        kv.ask_with("PUT", "/kv/k", &[(name, value)], "4")
            .await
            .problem(400, "invalid_argument", "");
    }
    let both = [("if-match", "*"), ("if-none-match", "*")];
    kv.ask_with("PUT", "/kv/k", &both, "4")
        .await
        .problem(400, "invalid_argument", "not both");
}

async fn revision_zero_means_absent(kv: Side) {
    kv.ask_with("PUT", "/kv/k", &[("if-match", "\"0\"")], "1").await.expect(201);
    kv.ask_with("PUT", "/kv/k", &[("if-match", "\"0\"")], "2")
        .await
        .problem(412, "precondition_failed", "");
    assert_eq!(kv.get("/kv/k").await.text(), "1");
}

async fn of_many_who_saw_one_revision_one_writes(kv: Side) {
    let seen = kv.put("/kv/k", "0").await.expect(201).header("etag").to_owned();
    let headers = [("if-match", seen.as_str())];
    let race = (1..=20).map(|i| kv.ask_with("PUT", "/kv/k", &headers, i.to_string()));
    let mut ended: Vec<u16> = join_all(race).await.iter().map(|answer| answer.status.as_u16()).collect();
    ended.sort_unstable();
    assert_eq!(
        (ended[0], ended.iter().filter(|status| **status == 412).count()),
        (200, 19),
        "{ended:?}"
    );
}

async fn deletes_compare_too(kv: Side) {
    let first = kv.put("/kv/k", "1").await.expect(201).header("etag").to_owned();
    let second = kv.put("/kv/k", "2").await.expect(200).header("etag").to_owned();
    kv.ask_with("DELETE", "/kv/k", &[("if-match", &first)], "")
        .await
        .problem(412, "precondition_failed", "");
    kv.ask_with("DELETE", "/kv/k", &[("if-match", &second)], "").await.expect(204);
    kv.ask("DELETE", "/kv/k").await.problem(404, "not_found", "no such key");
    kv.put("/kv/k", "3").await.expect(201);
}

async fn keys_vanish_after_their_ttl(kv: Side) {
    let written = std::time::Instant::now();
    kv.put("/kv/brief?ttl=2", "soon gone").await.expect(201);
    kv.put("/kv/brief2?ttl=2000ms", "soon gone").await.expect(201);
    kv.get("/kv/brief").await.expect(200);
    eventually(|| async { kv.get("/kv/brief").await.status == 404 && kv.get("/kv/brief2").await.status == 404 }).await;
    assert!(
        written.elapsed() >= Duration::from_secs(2),
        "gone after {:?}",
        written.elapsed()
    );
}

async fn write_without_ttl_stays(kv: Side) {
    kv.put("/kv/k?ttl=1", "brief").await.expect(201);
    kv.put("/kv/other?ttl=1", "brief").await.expect(201);
    kv.put("/kv/k", "for good").await.expect(200);
    eventually(|| async { kv.get("/kv/other").await.status == 404 }).await;
    assert_eq!(kv.get("/kv/k").await.expect(200).text(), "for good");
}

async fn refused_write_keeps_the_ttl_there_was(kv: Side) {
    kv.put("/kv/k", "for good").await.expect(201);
    let refused = kv.ask_with("PUT", "/kv/k?ttl=1", &[("if-none-match", "*")], "brief").await;
    refused.problem(412, "precondition_failed", "");
    kv.put("/kv/other?ttl=1", "brief").await.expect(201);
    eventually(|| async { kv.get("/kv/other").await.status == 404 }).await;
    kv.get("/kv/k").await.expect(200);
}

async fn stale_reads_catch_up(kv: Side) {
    kv.put("/kv/k", "1").await.expect(201);
    eventually(|| async { kv.get("/kv/k?consistency=stale").await.status == 200 }).await;
    eventually(|| async { kv.get("/kv?consistency=stale").await.expect(200).json()["items"][0]["key"] == "k" }).await;
    kv.get("/kv/k?consistency=linearizable").await.expect(200);
    kv.get("/kv/k?consistency=perhaps").await.problem(400, "invalid_argument", "");
}
