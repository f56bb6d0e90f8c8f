//! Quotas and usage of namespaces.

use cluster::keys;
use control::Consistency;
use serde_json::{Value, json};

use super::stack::Stack;

#[tokio::test]
async fn quota_is_kept_where_auxiliaries_look_for_it() {
    let stack = Stack::start(1, 1).await;
    let quota = json!({ "max_entries": 10 });
    stack.json("PUT", "/namespaces/sessions", &quota).await.expect(201);
    let both = json!({ "max_entries": 10, "max_bytes": 1_000_000 });
    assert_eq!(
        stack.json("PUT", "/namespaces/sessions", &both).await.expect(200).json(),
        both
    );
    let key = format!("{}sessions", keys::NAMESPACES);
    let stored = stack.store.store.get(&key, Consistency::Linearizable).await.unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&stored.value).unwrap(), both);
    let seen = stack.get("/namespaces/sessions").await.expect(200).json();
    assert_eq!((&seen["max_bytes"], &seen["entries"]), (&json!(1_000_000), &json!(0)));
    stack.ask("DELETE", "/namespaces/sessions").await.expect(204);
    stack
        .ask("DELETE", "/namespaces/sessions")
        .await
        .problem(404, "not_found", "no quota");
    stack.get("/namespaces/sessions").await.problem(404, "not_found", "no quota");
}

#[tokio::test]
async fn usage_is_summed_without_copies() {
    let stack = Stack::start(3, 2).await;
    for key in 0..30 {
        stack.put_value(&format!("/cache/k{key}?ns=a"), "v").await.expect(201);
        stack.get(&format!("/cache/k{key}?ns=a")).await.expect(200);
    }
    stack.put_value("/cache/k", "v").await.expect(201);
    stack
        .json("PUT", "/namespaces/_default", &json!({ "max_entries": 5 }))
        .await
        .expect(201);
    let listing = stack.get("/namespaces").await.expect(200).json();
    let of = |name: &str| {
        let items = listing["items"].as_array().unwrap();
        items.iter().find(|item| item["namespace"] == name).unwrap().clone()
    };
    assert_eq!(
        (&of("a")["entries"], &of("a")["hits"], &of("a")["max_entries"]),
        (&json!(30), &json!(30), &Value::Null)
    );
    assert_eq!((&of("")["entries"], &of("")["max_entries"]), (&json!(1), &json!(5)));
    assert_eq!(stack.get("/namespaces/_default").await.expect(200).json(), of(""));
    assert_eq!(listing["unanswered"], json!([]));
    stack.nodes[0].fail(true);
    let partial = stack.get("/namespaces").await.expect(200).json();
    assert_eq!(partial["unanswered"][0]["node"], "auxiliary-1");
}

#[tokio::test]
async fn wrong_quotas_are_refused() {
    let stack = Stack::start(1, 1).await;
    for (quota, said) in [
        (json!({}), "max_entries, max_bytes or both"),
        (json!({ "max_entries": 0 }), "max_entries must be 1"),
        (json!({ "max_bytes": 1_u64 << 60 }), "max_bytes must be 1"),
        (json!({ "max_entries": -1 }), "max_entries"),
        (json!({ "max_entries": 1, "bogus": 1 }), "unknown field"),
    ] {
        let refused = stack.json("PUT", "/namespaces/n", &quota).await;
        refused.problem(400, "invalid_argument", said);
    }
    for name in ["_ours", "a%2Fb", "n%0A"] {
        let refused = stack
            .json("PUT", &format!("/namespaces/{name}"), &json!({ "max_entries": 1 }))
            .await;
        refused.problem(400, "invalid_argument", "namespace");
    }
}
