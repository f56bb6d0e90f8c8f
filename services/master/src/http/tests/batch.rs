//! Many operations in one request.

use serde_json::{Value, json};

use super::stack::Stack;

async fn batch(stack: &Stack, path: &str, ops: Value) -> Vec<Value> {
    let answer = stack.json("POST", path, &json!({ "ops": ops })).await.expect(200).json();
    answer["results"].as_array().unwrap().clone()
}

fn statuses(results: &[Value]) -> Vec<u64> {
    results.iter().map(|result| result["status"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn operations_of_a_key_are_applied_in_order() {
    let stack = Stack::start(2, 2).await;
    let results = batch(
        &stack,
        "/cache/_batch",
        json!([
            { "op": "get", "key": "k" },
            { "op": "put", "key": "k", "value": "5", "ttl": 60, "stale": 60 },
            { "op": "incr", "key": "k", "by": -7 },
            { "op": "incr", "key": "k" },
            { "op": "touch", "key": "k", "ttl": 300 },
            { "op": "get", "key": "k" },
            { "op": "put", "key": "k", "value": "AAE=", "encoding": "base64" },
            { "op": "incr", "key": "k" },
            { "op": "delete", "key": "k" },
            { "op": "touch", "key": "k", "ttl": 1 },
        ]),
    )
    .await;
    assert_eq!(statuses(&results), [404, 201, 200, 200, 200, 200, 200, 409, 200, 404]);
    assert_eq!((&results[2]["value"], &results[5]["value"]), (&json!("-2"), &json!("-1")));
    assert!((299..=300).contains(&results[5]["ttl"].as_u64().unwrap()), "{}", results[5]);
    assert_eq!(results[0]["error"]["code"], "not_found");
    assert_eq!(results[7]["error"]["code"], "conflict");
}

#[tokio::test]
async fn operations_name_namespaces_of_their_own() {
    let stack = Stack::start(1, 1).await;
    let ops = json!([
        { "op": "put", "key": "k", "value": "default" },
        { "op": "put", "key": "k", "value": "of b", "ns": "b" },
        { "op": "get", "key": "k", "ns": "" },
    ]);
    let results = batch(&stack, "/cache/_batch?ns=*", ops.clone()).await;
    assert_eq!(statuses(&results), [201, 201, 200]);
    assert_eq!(stack.get("/cache/k").await.expect(200).text(), "default");
    assert_eq!(stack.get("/cache/k?ns=b").await.expect(200).text(), "of b");

    let within = json!([{ "op": "get", "key": "k" }, { "op": "get", "key": "k", "ns": "b" }]);
    let results = batch(&stack, "/cache/_batch?ns=b", within).await;
    assert_eq!((&results[0]["value"], &results[1]["value"]), (&json!("of b"), &json!("of b")));
    for path in ["/cache/_batch", "/cache/_batch?ns=a"] {
        let refused = stack.json("POST", path, &json!({ "ops": ops })).await;
        refused.problem(400, "invalid_argument", "send it in a batch with ns=");
    }
    for path in [
        "/cache/k?ns=*",
        "/kv/k?ns=*",
        "/kv?ns=*",
        "/kv/_watch?ns=*",
        "/datasets?ns=*",
        "/ring?ns=*",
    ] {
        stack.get(path).await.problem(400, "invalid_argument", "about one: name it");
    }
}

#[tokio::test]
async fn large_batches_keep_their_order() {
    let stack = Stack::start(3, 2).await;
    let put: Vec<_> = (0..1000)
        .map(|i| json!({ "op": "put", "key": format!("k{i}"), "value": i.to_string() }))
        .collect();
    assert_eq!(statuses(&batch(&stack, "/cache/_batch", put.into()).await), [201; 1000]);
    let get: Vec<_> = (0..1000).map(|i| json!({ "op": "get", "key": format!("k{i}") })).collect();
    for (i, result) in batch(&stack, "/cache/_batch", get.into()).await.iter().enumerate() {
        assert_eq!((&result["status"], &result["value"]), (&json!(200), &json!(i.to_string())));
    }
}

#[tokio::test]
async fn wrong_batches_are_refused_whole() {
    let stack = Stack::start(1, 1).await;
    let many: Vec<_> = (0..1001).map(|_| json!({ "op": "get", "key": "k" })).collect();
    let long = "v".repeat(2000);
    for (ops, status, said) in [
        (json!(many), 400, "at most 1000"),
        (json!([{ "op": "get", "key": "k", "ttl": 5 }]), 400, "get takes no ttl"),
        (
            json!([{ "op": "put", "key": "k", "value": "v", "ttl": 0 }]),
            400,
            "more than 0",
        ),
        (
            json!([{ "op": "put", "key": "k", "value": "v", "stale": 5 }]),
            400,
            "give ttl",
        ),
        (json!([{ "op": "touch", "key": "k" }]), 400, "touch needs ttl"),
        (json!([{ "op": "get", "key": "k", "ns": "a/b" }]), 400, "namespace"),
        (json!([{ "op": "put", "key": "k", "value": long }]), 413, "at most 1024"),
        (
            json!([{ "op": "put", "key": "k", "value": "!", "encoding": "base64" }]),
            400,
            "base64",
        ),
    ] {
        let refused = stack.json("POST", "/cache/_batch", &json!({ "ops": ops })).await;
        let code = if status == 413 { "too_large" } else { "invalid_argument" };
        refused.problem(status, code, said);
    }
}
