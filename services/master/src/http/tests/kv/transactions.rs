//! Compare several keys, then write several.

use serde_json::json;

use super::{Side, on_both_engines};
use crate::http::tests::eventually;

on_both_engines! {
    branch_follows_the_compares
    every_kind_of_compare_holds_or_not
    all_steps_have_one_revision
    steps_may_have_a_ttl
    wrong_transactions_change_nothing
}

async fn branch_follows_the_compares(kv: Side) {
    let transfer = json!({
        "compare": [{ "key": "from", "exists": false }, { "key": "to", "exists": false }],
        "then": [{ "op": "put", "key": "from", "value": "70" }, { "op": "put", "key": "to", "value": "/wA=", "encoding": "base64" }],
        "else": [{ "op": "get", "key": "from" }, { "op": "get", "key": "never" }, { "op": "delete", "key": "to" }, { "op": "delete", "key": "never" }],
    });
    let done = kv.json("POST", "/kv/_txn", &transfer).await.expect(200).json();
    assert_eq!(done["succeeded"], true, "{done}");
    assert_eq!(kv.get("/kv/to").await.expect(200).body, [0xff, 0]);
    let refused = kv.json("POST", "/kv/_txn", &transfer).await.expect(200).json();
    assert_eq!(refused["succeeded"], false, "{refused}");
    let from = json!({ "key": "from", "value": "70", "revision": done["revision"] });
    assert_eq!(
        refused["results"],
        json!([{ "get": from }, { "get": null }, { "deleted": true }, { "deleted": false }])
    );
    kv.get("/kv/to").await.problem(404, "not_found", "");
    let nothing = kv.json("POST", "/kv/_txn", &json!({})).await.expect(200).json();
    assert_eq!((&nothing["succeeded"], &nothing["results"]), (&json!(true), &json!([])));
}

async fn every_kind_of_compare_holds_or_not(kv: Side) {
    let etag = kv.put("/kv/k", "v").await.expect(201).header("etag").to_owned();
    let revision: u64 = etag.trim_matches('"').parse().unwrap();
    for (compare, holds) in [
        (json!({ "key": "k", "exists": true }), true),
        (json!({ "key": "k", "exists": false }), false),
        (json!({ "key": "no", "exists": true }), false),
        (json!({ "key": "k", "value": "v" }), true),
        (json!({ "key": "k", "value": "w" }), false),
        (json!({ "key": "no", "value": "" }), false),
        (json!({ "key": "k", "revision": revision }), true),
        (json!({ "key": "k", "revision": revision + 1 }), false),
        (json!({ "key": "k", "revision": 0 }), false),
        (json!({ "key": "no", "revision": 0 }), true),
    ] {
        let answer = kv
            .json("POST", "/kv/_txn", &json!({ "compare": [compare] }))
            .await
            .expect(200)
            .json();
        assert_eq!(answer["succeeded"], holds, "{compare}");
    }
}

async fn all_steps_have_one_revision(kv: Side) {
    let steps: Vec<_> = (0..100)
        .map(|i| json!({ "op": "put", "key": format!("k{i:02}"), "value": "v" }))
        .collect();
    let done = kv
        .json("POST", "/kv/_txn", &json!({ "then": steps }))
        .await
        .expect(200)
        .json();
    let listing = kv.get("/kv?prefix=k").await.expect(200).json();
    let items = listing["items"].as_array().unwrap();
    assert_eq!(items.len(), 100);
    assert!(items.iter().all(|item| item["revision"] == done["revision"]), "{done}");
}

async fn steps_may_have_a_ttl(kv: Side) {
    let txn = json!({
        "then": [{ "op": "put", "key": "brief", "value": "v", "ttl": 1 }, { "op": "put", "key": "for-good", "value": "v" }],
        "else": [{ "op": "put", "key": "never", "value": "v", "ttl": 1 }],
    });
    kv.json("POST", "/kv/_txn", &txn).await.expect(200);
    kv.get("/kv/brief").await.expect(200);
    eventually(|| async { kv.get("/kv/brief").await.status == 404 }).await;
    kv.get("/kv/for-good").await.expect(200);
    kv.get("/kv/never").await.expect(404);
    let zero = json!({ "then": [{ "op": "put", "key": "k", "value": "v", "ttl": 0 }] });
    kv.json("POST", "/kv/_txn", &zero)
        .await
        .problem(400, "invalid_argument", "ttl");
}

async fn wrong_transactions_change_nothing(kv: Side) {
    let put = |key: &str| json!({ "op": "put", "key": key, "value": "v" });
    let many: Vec<_> = (0..129).map(|i| put(&i.to_string())).collect();
    for (wrong, said) in [
        (json!({ "then": [put("k"), put("k")] }), ""),
        (json!({ "then": [put("")] }), "empty"),
        (json!({ "then": many }), "at most 128"),
        (json!({ "compare": [{ "key": "k" }], "then": [put("k")] }), "exactly one"),
        (
            json!({ "compare": [{ "key": "k", "exists": true, "value": "v" }], "then": [put("k")] }),
            "exactly one",
        ),
        (json!({ "then": [{ "op": "drop", "key": "k" }] }), ""),
        (json!({ "then": [{ "op": "put", "key": "k" }] }), "value"),
        (
            json!({ "then": [{ "op": "put", "key": "k", "value": "v", "encoding": "base64" }] }),
            "base64",
        ),
        (json!({ "them": [] }), "them"),
        (json!([]), "object"),
    ] {
        kv.json("POST", "/kv/_txn", &wrong)
            .await
            .problem(400, "invalid_argument", said);
    }
    kv.ask_with("POST", "/kv/_txn", &[], "{}")
        .await
        .problem(415, "invalid_argument", "Content-Type");
    let large = json!({ "then": [{ "op": "put", "key": "k", "value": "v".repeat((1 << 20) + 1) }] });
    kv.json("POST", "/kv/_txn", &large).await.problem(413, "too_large", "1048576");
    assert_eq!(kv.get("/kv").await.expect(200).json()["items"], json!([]));
}
