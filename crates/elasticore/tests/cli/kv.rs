//! `elasticore kv`.

use std::process::Stdio;

use serde_json::json;

use crate::fake::{Asked, Fake, Reply};
use crate::program::{command, end, run};

/// Two pages of keys, as `after` asks for them.
fn pages(asked: &Asked) -> Reply {
    if asked.target.contains("after=b") {
        Reply::json(
            200,
            json!({ "items": [{ "key": "c", "value": "AP8=", "encoding": "base64", "revision": 9 }], "revision": 9 }),
        )
    } else {
        let items = json!([{ "key": "a", "value": "1", "revision": 3 }, { "key": "b", "value": "tab\there", "revision": 4 }]);
        Reply::json(200, json!({ "items": items, "next": "b", "revision": 9 }))
    }
}

#[tokio::test]
async fn list_follows_pages_and_is_plain_when_piped() {
    let fake = Fake::new(pages).await;
    let ended = run(&fake.endpoint, &["kv", "list", "--prefix", "x/", "--stale"]).await;
    assert_eq!(
        ended.text(),
        "KEY\tREVISION\tVALUE\na\t3\t1\nb\t4\ttab\\there\nc\t9\tbase64:AP8=\n",
        "{}",
        ended.stderr
    );
    let lines: Vec<String> = fake.asked().iter().map(Asked::line).collect();
    let first = "GET /kv?prefix=x%2F&limit=1000&consistency=stale";
    assert_eq!(lines, [first, "GET /kv?prefix=x%2F&limit=1000&after=b&consistency=stale"]);
}

#[tokio::test]
async fn list_stops_at_its_limit() {
    let fake = Fake::new(pages).await;
    let ended = run(&fake.endpoint, &["kv", "list", "--limit", "2", "--ns", "n"]).await;
    assert_eq!(ended.text().lines().count(), 3);
    assert_eq!(fake.only().line(), "GET /kv?ns=n&prefix=&limit=2");
}

#[tokio::test]
async fn list_as_json_is_one_page_as_it_came() {
    let fake = Fake::new(pages).await;
    let ended = run(&fake.endpoint, &["kv", "list", "--output", "json"]).await;
    let body: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((body["next"].as_str(), fake.asked().len()), (Some("b"), 1));
}

#[tokio::test]
async fn reader_that_goes_away_is_no_failure() {
    let items: Vec<_> = (0..1000)
        .map(|n| json!({ "key": format!("key-{n}"), "value": "x".repeat(500), "revision": n }))
        .collect();
    let fake = Fake::always(Reply::json(200, json!({ "items": items, "next": "more", "revision": 1 }))).await;
    let mut child = command(&fake.endpoint, &["kv", "list"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // One piece is read and the pipe is closed, as `head` does; the pages would go on for ever.
    let mut stdout = child.stdout.take().unwrap();
    let mut piece = [0; 100];
    tokio::io::AsyncReadExt::read_exact(&mut stdout, &mut piece).await.unwrap();
    drop(stdout);
    let ended = end(child).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}

#[tokio::test]
async fn get_reads_raw_or_with_its_revision() {
    let fake = Fake::always(Reply::new(200, "value").header("etag", "\"17\"")).await;
    assert_eq!(run(&fake.endpoint, &["kv", "get", "a/b", "--stale"]).await.stdout, b"value");
    assert_eq!(fake.only().line(), "GET /kv/a%2Fb?consistency=stale");
    let named = run(&fake.endpoint, &["kv", "get", "k", "--ns", "a&b"]).await;
    assert_eq!((named.code, fake.asked()[1].line().as_str()), (0, "GET /kv/k?ns=a%26b"));
    let json = run(&fake.endpoint, &["kv", "get", "k", "--output", "json"]).await;
    assert_eq!(json.text(), "{\"key\":\"k\",\"value\":\"value\",\"revision\":17}\n");
}

#[tokio::test]
async fn set_compares_revisions() {
    let fake = Fake::always(Reply::new(200, "").header("etag", "\"18\"")).await;
    let ended = run(
        &fake.endpoint,
        &["kv", "set", "_k", "v", "--if-revision", "17", "--ttl", "60"],
    )
    .await;
    assert_eq!((ended.code, ended.text()), (0, "stored _k, revision 18\n"));
    let asked = fake.only();
    assert_eq!(
        (asked.line().as_str(), asked.header("if-match")),
        ("PUT /kv/%5Fk?ttl=60", Some("\"17\""))
    );
    let absent = run(&fake.endpoint, &["kv", "set", "k", "v", "--if-absent", "--output", "json"]).await;
    assert_eq!(absent.text(), "{\"key\":\"k\",\"revision\":18}\n");
    assert_eq!(fake.asked()[1].header("if-none-match"), Some("*"));
    run(&fake.endpoint, &["kv", "set", "k", "v", "--ns", "n", "--ttl", "5"]).await;
    assert_eq!(fake.asked()[2].line(), "PUT /kv/k?ns=n&ttl=5");
}

#[tokio::test]
async fn delete_compares_revisions_and_tells_when_there_was_nothing() {
    let fake = Fake::always(Reply::new(204, "")).await;
    let ended = run(&fake.endpoint, &["kv", "delete", "k", "--if-revision", "5"]).await;
    assert_eq!((ended.code, ended.text()), (0, "deleted k\n"));
    assert_eq!(fake.only().header("if-match"), Some("\"5\""));
    run(&fake.endpoint, &["kv", "delete", "k", "--namespace", "n"]).await;
    assert_eq!(fake.asked()[1].line(), "DELETE /kv/k?ns=n");
    let fake = Fake::always(Reply::problem(404, "not_found", "there is no such key")).await;
    assert_eq!(run(&fake.endpoint, &["kv", "delete", "k"]).await.code, 3);
}
