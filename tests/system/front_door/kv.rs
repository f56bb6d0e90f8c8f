//! The key-value store at the front door.

use std::time::Duration;

use api::ErrorCode;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};
use system_tests::{Api, eventually};

pub(super) async fn keeps_conditions_and_lists(api: &Api) {
    let created = api.put("/kv/app%2Fa", vec![255, 0]).await.expect(201);
    let first = created.header("etag").to_owned();
    let read = api.get("/kv/app%2Fa").await.expect(200);
    assert_eq!((read.body.clone(), read.header("etag")), (vec![255, 0], first.as_str()));
    let second = api.put("/kv/app%2Fa", "2").await.expect(200).header("etag").to_owned();
    let write = |name, value: &str| api.request("PUT", "/kv/app%2Fa").header(name, value).body("3").send();
    write("if-match", &first).await.problem(412, ErrorCode::PreconditionFailed);
    write("if-none-match", "*").await.problem(412, ErrorCode::PreconditionFailed);
    write("if-match", &second).await.expect(200);
    assert_eq!(api.get("/kv/app%2Fa?consistency=stale").await.expect(200).text(), "3");

    // Of many writers that saw the same revision exactly one wins.
    let seen = api.get("/kv/app%2Fa").await.header("etag").to_owned();
    let race: FuturesUnordered<_> = (0..20).map(|_| write("if-match", &seen)).collect();
    let won: Vec<u16> = race.map(|answer| answer.status).collect().await;
    assert_eq!(won.iter().filter(|status| **status == 200).count(), 1, "{won:?}");
    assert_eq!(won.iter().filter(|status| **status == 412).count(), 19, "{won:?}");

    for name in ["b", "c", "d"] {
        api.put(&format!("/kv/app%2F{name}"), name).await.expect(201);
    }
    let page = api.get("/kv?prefix=app/&limit=2").await.expect(200).json();
    assert_eq!((keys(&page), &page["next"]), (vec!["app/a", "app/b"], &json!("app/b")));
    let rest = api.get("/kv?prefix=app/&limit=2&after=app/b").await.expect(200).json();
    assert_eq!((keys(&rest), &rest["next"]), (vec!["app/c", "app/d"], &Value::Null));

    let stale = api.request("DELETE", "/kv/app%2Fa").header("if-match", &first).send().await;
    stale.problem(412, ErrorCode::PreconditionFailed);
    api.delete("/kv/app%2Fa").await.expect(204);
    api.delete("/kv/app%2Fa").await.problem(404, ErrorCode::NotFound);
    api.get("/kv/app%2Fa").await.problem(404, ErrorCode::NotFound);

    api.put("/kv/brief?ttl=2", "soon gone").await.expect(201);
    api.get("/kv/brief").await.expect(200);
    eventually("the key to expire", Duration::from_secs(15), || async {
        let answer = api.get("/kv/brief").await;
        if answer.status == 404 {
            Ok(())
        } else {
            Err(answer.to_string())
        }
    })
    .await;
}

fn keys(listing: &Value) -> Vec<&str> {
    listing["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["key"].as_str().unwrap())
        .collect()
}

pub(super) async fn transacts(api: &Api) {
    let transfer = json!({
        "compare": [{ "key": "from", "exists": false }, { "key": "to", "exists": false }],
        "then": [{ "op": "put", "key": "from", "value": "70" }, { "op": "put", "key": "to", "value": "30" }],
        "else": [{ "op": "get", "key": "from" }, { "op": "delete", "key": "to" }],
    });
    let done = api.post("/kv/_txn", &transfer).await.expect(200).json();
    assert_eq!(done["succeeded"], true, "{done}");
    let refused = api.post("/kv/_txn", &transfer).await.expect(200).json();
    assert_eq!(refused["succeeded"], false, "{refused}");
    assert_eq!(refused["results"][0]["get"]["value"], "70", "{refused}");
    assert_eq!(refused["results"][1], json!({ "deleted": true }), "{refused}");
    api.get("/kv/to").await.problem(404, ErrorCode::NotFound);
    assert!(refused["revision"].as_u64() > done["revision"].as_u64());
    let by_value =
        json!({ "compare": [{ "key": "from", "value": "70" }], "then": [{ "op": "put", "key": "from", "value": "71" }] });
    assert_eq!(api.post("/kv/_txn", &by_value).await.expect(200).json()["succeeded"], true);
}

pub(super) async fn tells_watchers(api: &Api) {
    let before = api.put("/kv/watched%2F0", "before").await.expect(201);
    let revision: u64 = before.header("etag").trim_matches('"').parse().unwrap();
    let stream = api
        .request("GET", &format!("/kv/_watch?prefix=watched/&from={revision}"))
        .stream()
        .await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut events = Box::pin(stream.bytes_stream());
    api.put("/kv/watched%2F1", "live").await.expect(201);
    api.put("/kv/other", "not watched").await.expect(201);
    api.delete("/kv/watched%2F0").await.expect(204);
    let heard = tokio::time::timeout(Duration::from_secs(20), async {
        let mut text = String::new();
        while text.matches("\n\n").count() - text.matches(":\n\n").count() < 4 {
            text.push_str(&String::from_utf8_lossy(&events.next().await.unwrap().unwrap()));
        }
        text
    });
    let heard = heard.await.expect("three events arrive, each at once");
    let names: Vec<_> = heard.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, ["listening", "put", "put", "delete"], "{heard}");
    let data: Vec<Value> = heard
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    assert_eq!((&data[1]["key"], &data[1]["value"]), (&json!("watched/0"), &json!("before")));
    assert_eq!((&data[2]["key"], &data[2]["value"]), (&json!("watched/1"), &json!("live")));
    assert_eq!(data[3]["key"], "watched/0");
    let ids: Vec<u64> = heard
        .lines()
        .filter_map(|line| line.strip_prefix("id: ")?.parse().ok())
        .collect();
    assert!(ids.len() == 4 && ids.is_sorted() && ids[1] == revision, "{heard}");
}
