//! `GET /nodes`, and what the leader asks of a master.

use axum::body::Body;
use cluster::keys;
use serde_json::{Value, json};

use super::stack::Stack;
use super::{Answer, eventually};

#[tokio::test]
async fn auxiliaries_say_how_they_are() {
    let stack = Stack::start(2, 2).await;
    stack.put_value("/cache/k", "v").await.expect(201);
    stack.nodes[1].fail(true);
    let seen = stack.get("/nodes").await.expect(200).json();
    assert_eq!(
        (&seen["phase"], &seen["epoch"], &seen["answered_by"]),
        (&json!("stable"), &json!(1), &json!("master-1"))
    );
    let (first, second) = (&seen["nodes"][0], &seen["nodes"][1]);
    assert_eq!(
        (&first["cache"]["entries"], &first["cache"]["synced"]),
        (&json!(1), &json!(true))
    );
    assert!(first["error"].is_null() && first["share"].as_f64() > Some(0.0), "{first}");
    assert!(
        second["cache"].is_null() && second["error"].as_str().unwrap().contains("no space"),
        "{second}"
    );
    assert_eq!((&first["draining"], &second["draining"]), (&json!(false), &json!(false)));
    let drain = json!({ "boot_id": stack.nodes[0].member.boot_id });
    stack.put(&keys::drain(&stack.nodes[0].member.id), &drain).await;
    eventually(|| async { stack.get("/nodes").await.json()["nodes"][0]["draining"] == true }).await;
}

#[tokio::test]
async fn master_says_by_which_ring_it_routes() {
    let stack = Stack::start(1, 1).await;
    let request = Stack::request("GET", "/internal/v1/cluster/status", &[], Body::empty());
    let status = Answer::of(stack.private.clone(), request).await.expect(200).json();
    assert_eq!(status, json!({ "epoch": 1, "unreachable": [] }));
    stack.get("/internal/v1/cluster/status").await.expect(404);
}

#[tokio::test]
async fn document_has_every_public_route() {
    let stack = Stack::start(0, 1).await;
    let document = stack.get("/openapi.json").await.expect(200).json();
    for (path, methods) in [
        ("/cache/", &["get", "put", "delete"][..]),
        ("/cache/{key}", &["get", "head", "put", "delete"]),
        ("/cache/_incr", &["post"]),
        ("/cache/_touch", &["post"]),
        ("/cache/_delete", &["post"]),
        ("/cache/_batch", &["post"]),
        ("/events", &["get"]),
        ("/namespaces", &["get"]),
        ("/namespaces/{ns}", &["get", "put", "delete"]),
        ("/nodes", &["get"]),
        ("/nodes/{id}/drain", &["post"]),
        ("/ring", &["get"]),
        ("/rebalance", &["post"]),
        ("/backup", &["post"]),
        ("/backups", &["get"]),
        ("/restore", &["post"]),
        ("/kv/{key}", &["get", "put", "delete"]),
        ("/kv", &["get"]),
        ("/kv/_txn", &["post"]),
        ("/kv/_watch", &["get"]),
        ("/cluster/join", &["post"]),
        ("/cluster/members", &["get"]),
        ("/cluster/members/{name}", &["delete"]),
        ("/cluster/status", &["get"]),
        ("/cluster/transfer-leader", &["post"]),
        ("/cluster/snapshot", &["get"]),
    ] {
        for method in methods {
            assert!(document["paths"][path][method].is_object(), "{method} {path}");
        }
    }
    let mut references = Vec::new();
    collect(&document, &mut references);
    for reference in references {
        let target = document.pointer(reference.strip_prefix('#').unwrap());
        assert!(target.is_some(), "{reference} leads nowhere");
    }
}

#[tokio::test]
async fn document_says_of_each_parameter_where_it_goes() {
    let stack = Stack::start(0, 1).await;
    let document = stack.get("/openapi.json").await.expect(200).json();
    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let named = |parameter: &Value| path.contains(&format!("{{{}}}", parameter["name"].as_str().unwrap()));
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert_eq!(parameter["in"] == "path", named(parameter), "{method} {path}: {parameter}");
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen} parameters");
    let options = &document["paths"]["/cache/{key}"]["get"]["parameters"];
    assert!(
        options
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["name"] == "ns" && one["required"] == false),
        "{options}"
    );
}

#[tokio::test]
async fn document_says_that_errors_are_problems() {
    let stack = Stack::start(0, 1).await;
    let document = stack.get("/openapi.json").await.expect(200).json();
    let operations = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    for (name, operation) in operations {
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.contains_key("default"), "{name}");
        for (status, response) in responses {
            let problem = "#/components/schemas/Problem";
            let of = |kind: &str| response["content"][kind]["schema"]["$ref"].clone();
            assert_ne!(of("application/json"), problem, "{name}: {status}");
            let refused = !matches!(status.as_bytes()[0], b'2' | b'3');
            let documented = response["content"].is_object();
            assert_eq!(
                of("application/problem+json") == problem,
                refused && documented,
                "{name}: {status}"
            );
        }
    }
}

/// Every reference in a document.
fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}
