//! One entry at a time: both forms, life times, conditions, counters.

use super::stack::Stack;

/// Within a second of what was asked for.
fn seconds(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

#[tokio::test]
async fn entries_come_back_with_their_metadata() {
    let stack = Stack::start(2, 2).await;
    let headers = [("content-type", "text/plain")];
    let written = stack
        .ask_with("PUT", "/cache/a%2Fb?ttl=5m", &headers, "value")
        .await
        .expect(201);
    assert!(written.header("x-cache-node").starts_with("auxiliary-"), "{written:?}");
    let read = stack.get("/cache/a%2Fb").await.expect(200);
    assert_eq!(
        (
            read.text().as_str(),
            read.header("content-type"),
            read.header("x-cache"),
            read.header("etag")
        ),
        ("value", "text/plain", "HIT", written.header("etag"))
    );
    assert!((299..=300).contains(&seconds(read.header("x-cache-ttl"))), "{read:?}");
    let entry = stack.get("/cache/?key=a%2Fb").await.expect(200).json();
    assert_eq!((&entry["key"], &entry["value"]), (&"a/b".into(), &"value".into()));
    let head = stack.ask("HEAD", "/cache/a%2Fb").await.expect(200);
    assert_eq!(head.header("etag"), written.header("etag"));
    stack.put_value("/cache/a%2Fb", "other").await.expect(200);
    let forever = stack.get("/cache/a%2Fb").await.expect(200);
    assert_eq!(
        (forever.header("x-cache-ttl"), forever.header("content-type")),
        ("", "application/octet-stream")
    );
    stack.ask("DELETE", "/cache/a%2Fb").await.expect(204);
    stack.get("/cache/a%2Fb").await.problem(404, "not_found", "nothing");
    stack.ask("DELETE", "/cache/a%2Fb").await.expect(404);
}

#[tokio::test]
async fn life_times_are_relative_or_absolute() {
    let stack = Stack::start(1, 1).await;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let in_a_minute = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + std::time::Duration::from_secs(now + 60));
    for query in [
        "ttl=60".to_owned(),
        "ttl=1m".to_owned(),
        format!("expires_at={}", now + 60),
        format!("expires_at={in_a_minute}"),
        "ttl=60&stale=1h".to_owned(),
    ] {
        stack.put_value(&format!("/cache/k?{query}"), "v").await;
        let left = seconds(stack.get("/cache/k").await.expect(200).header("x-cache-ttl"));
        assert!((59..=60).contains(&left), "{query}: {left}");
        let written = stack
            .ask("PUT", &format!("/cache/?key=k&value=v&{query}"))
            .await
            .expect(200)
            .json();
        assert!((59..=60).contains(&written["ttl"].as_u64().unwrap()), "{query}: {written}");
    }
    for (query, said) in [
        ("ttl=", "write seconds"),
        ("ttl=0", "more than 0"),
        ("ttl=60&expires_at=4102444800", "not both"),
        ("expires_at=1000", "is over"),
        ("expires_at=99999999999", "too far away"),
        ("expires_at=soon", "RFC 3339"),
        ("stale=60", "give ttl"),
        ("ttl=60&stale=x", "stale \"x\" is not valid"),
    ] {
        let refused = stack.put_value(&format!("/cache/k?{query}"), "v").await;
        refused.problem(400, "invalid_argument", said);
    }
    stack
        .get("/cache/k?ttl=60")
        .await
        .problem(400, "invalid_argument", "unknown field");
}

#[tokio::test]
async fn entry_past_its_ttl_is_served_as_stale() {
    let stack = Stack::start(1, 1).await;
    stack.put_value("/cache/k?ttl=0.001&stale=1h", "old").await.expect(201);
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let read = stack.get("/cache/k").await.expect(200);
    assert_eq!(
        (
            read.text().as_str(),
            read.header("x-cache"),
            read.header("x-cache-ttl"),
            read.header("x-cache-load")
        ),
        ("old", "STALE", "0", "")
    );
}

#[tokio::test]
async fn touch_changes_the_life_time_and_nothing_else() {
    let stack = Stack::start(2, 2).await;
    stack
        .ask("POST", "/cache/_touch?key=k&ttl=60")
        .await
        .problem(404, "not_found", "nothing");
    let before = stack.put_value("/cache/k", "v").await.expect(201);
    let touched = stack.ask("POST", "/cache/_touch?key=k&ttl=60").await.expect(200).json();
    assert!((59..=60).contains(&touched["ttl"].as_u64().unwrap()), "{touched}");
    let after = stack.get("/cache/k").await.expect(200);
    assert_eq!((after.text().as_str(), after.header("x-cache-ttl").is_empty()), ("v", false));
    assert_eq!(after.header("etag"), format!("\"{}\"", touched["version"]));
    let stale = [("if-match", before.header("etag"))];
    let refused = stack.ask_with("POST", "/cache/_touch?key=k&ttl=60", &stale, "").await;
    refused.problem(412, "precondition_failed", "has version");
    for (query, said) in [
        ("key=k", "give ttl"),
        ("key=&ttl=60", "empty"),
        ("ttl=60", "missing field"),
        ("key=k&ttl=-1", "ttl"),
        ("key=k&ttl=60&bogus=1", "unknown field"),
    ] {
        let refused = stack.ask("POST", &format!("/cache/_touch?{query}")).await;
        refused.problem(400, "invalid_argument", said);
    }
}

#[tokio::test]
async fn writes_are_conditional_on_versions() {
    let stack = Stack::start(2, 2).await;
    let put = async |name, value: &str| stack.ask_with("PUT", "/cache/k", &[(name, value)], "v").await;
    put("if-match", "*").await.problem(412, "precondition_failed", "absent");
    let first = put("if-none-match", "*").await.expect(201).header("etag").to_owned();
    put("if-none-match", "*")
        .await
        .problem(412, "precondition_failed", "has version");
    put("if-match", &first).await.expect(200);
    put("if-match", &first)
        .await
        .problem(412, "precondition_failed", "has version");
    put("if-match", "yesterday").await.problem(400, "invalid_argument", "ETag");
}

#[tokio::test]
async fn counters_count_both_ways() {
    let stack = Stack::start(2, 2).await;
    let incr = async |query: &str| stack.ask("POST", &format!("/cache/_incr?key=n{query}")).await;
    assert_eq!(incr("").await.expect(200).json()["value"], 1);
    assert_eq!(incr("&by=-5").await.expect(200).json()["value"], -4);
    stack.put_value("/cache/n", "text").await.expect(200);
    incr("").await.problem(409, "conflict", "integer");
    incr("&by=1.5").await.problem(400, "invalid_argument", "by");
}

#[tokio::test]
async fn namespaces_are_apart() {
    let stack = Stack::start(1, 1).await;
    stack.put_value("/cache/k?ns=a", "of a").await.expect(201);
    stack.get("/cache/k").await.expect(404);
    let by_header = stack.ask_with("GET", "/cache/k", &[("x-namespace", "a")], "").await;
    assert_eq!(by_header.expect(200).text(), "of a");
    for ns in ["_x", "a%2Fb", "a%00"] {
        let refused = stack.get(&format!("/cache/k?ns={ns}")).await;
        refused.problem(400, "invalid_argument", "namespace");
    }
}

#[tokio::test]
async fn owners_out_of_reach_are_503_with_a_time_to_try_again() {
    let stack = Stack::start(2, 2).await;
    stack.wires.cut(true);
    let refused = stack.put_value("/cache/k", "v").await;
    assert_eq!(refused.header("retry-after"), "1");
    refused.problem(503, "unavailable", "not executed");
    stack.wires.cut(false);
    stack.get("/cache/k").await.expect(404);
}
