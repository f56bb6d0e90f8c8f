//! What the README promises, asked through NGINX of three masters on three etcd servers.

mod cache;
mod inside;
mod kv;

use std::collections::BTreeSet;

use serde_json::Value;
use system_tests::{Api, Sandbox};

/// Routes of DESIGN §8 that this version serves, with their methods.
const ROUTES: &[(&str, &[&str])] = &[
    ("/cache/", &["get", "put", "delete"]),
    ("/cache/{key}", &["get", "head", "put", "delete"]),
    ("/cache/_incr", &["post"]),
    ("/cache/_batch", &["post"]),
    ("/kv/{key}", &["get", "put", "delete"]),
    ("/kv", &["get"]),
    ("/kv/_watch", &["get"]),
    ("/kv/_txn", &["post"]),
    ("/jobs", &["get", "post"]),
    ("/jobs/{id}", &["get", "delete"]),
    ("/jobs/{id}/result", &["get"]),
    ("/jobs/{id}/events", &["get"]),
    ("/jobs/{id}/plan", &["get"]),
    ("/nodes", &["get"]),
    ("/ring", &["get"]),
    ("/cluster/join", &["post"]),
    ("/cluster/members", &["get"]),
    ("/cluster/members/{name}", &["delete"]),
    ("/cluster/status", &["get"]),
    ("/cluster/transfer-leader", &["post"]),
    ("/cluster/snapshot", &["get"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_kv_and_operations_keep_their_promises_through_nginx() {
    let mut stack = Sandbox::etcd(3).start().await;
    let api = stack.api();
    cache::takes_both_forms(&api).await;
    cache::keeps_conditions(&api).await;
    cache::counts(&api).await;
    cache::takes_batches(&api).await;
    cache::separates_namespaces(&api).await;
    cache::forgets_in_time(&api).await;
    kv::keeps_conditions_and_lists(&api).await;
    kv::transacts(&api).await;
    kv::tells_watchers(&api).await;
    every_master_answers_the_same(&stack).await;
    request_ids_come_back(&api).await;
    document_lists_every_route(&api).await;
    nodes_are_listed(&api).await;
    inside::internal_routes_stay_inside(&mut stack).await;
    inside::operations_travel_in_batches(&stack).await;
    inside::every_service_has_its_metrics(&mut stack).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}

async fn every_master_answers_the_same(stack: &Sandbox) {
    for (i, writer) in stack.masters.iter().enumerate() {
        let (cache, kv) = (format!("/cache/from-{i}"), format!("/kv/from-{i}"));
        writer.public().put(&cache, writer.name().to_owned()).await.expect(201);
        writer.public().put(&kv, writer.name().to_owned()).await.expect(201);
        for reader in &stack.masters {
            for path in [&cache, &kv] {
                assert_eq!(
                    reader.public().get(path).await.expect(200).text(),
                    writer.name(),
                    "{path} at {}",
                    reader.name()
                );
            }
        }
    }
}

async fn request_ids_come_back(api: &Api) {
    for path in ["/cache/absent", "/kv", "/health", "/nowhere", "/internal/v1/x"] {
        let answer = api
            .request("GET", path)
            .header("x-request-id", "from-the-client.1")
            .send()
            .await;
        assert_eq!(answer.header("x-request-id"), "from-the-client.1", "{path}: {answer}");
        if answer.status >= 400 {
            assert_eq!(answer.json()["request_id"], "from-the-client.1", "{path}");
        }
        let (one, other) = (api.get(path).await, api.get(path).await);
        let (one, other) = (one.header("x-request-id"), other.header("x-request-id"));
        assert!(one.len() >= 16 && one != other, "{path}: {one:?} and {other:?}");
    }
}

async fn document_lists_every_route(api: &Api) {
    let document = api.get("/openapi.json").await.expect(200).json();
    assert!(
        document["openapi"].as_str().unwrap().starts_with("3.1"),
        "{}",
        document["openapi"]
    );
    for (path, methods) in ROUTES {
        for method in *methods {
            let operation = &document["paths"][path][method];
            assert!(operation["responses"].is_object(), "{method} {path} is not in /openapi.json");
        }
    }
    // Every reference leads somewhere, and every operation has a name of its own.
    let mut references = BTreeSet::new();
    collect(&document, "$ref", &mut references);
    assert!(references.contains("#/components/schemas/Problem"), "{references:?}");
    for reference in references {
        let target = document.pointer(reference.strip_prefix('#').unwrap());
        assert!(target.is_some(), "{reference} leads nowhere");
    }
    let operations: usize = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|path| path.as_object().unwrap().len())
        .sum();
    let mut names = BTreeSet::new();
    collect(&document["paths"], "operationId", &mut names);
    assert_eq!(names.len(), operations, "operationIds are not unique: {names:?}");
}

fn collect(value: &Value, name: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| match value.as_str() {
            Some(text) if key == name => drop(found.insert(text.to_owned())),
            _ => collect(value, name, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| collect(item, name, found)),
        _ => {}
    }
}

async fn nodes_are_listed(api: &Api) {
    let seen = api.get("/nodes").await.expect(200).json();
    let mut named: Vec<_> = seen["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["id"].as_str().unwrap())
        .collect();
    named.sort_unstable();
    let expected = [
        "auxiliary-1",
        "auxiliary-2",
        "auxiliary-3",
        "master-1",
        "master-2",
        "master-3",
        "worker-1",
        "worker-2",
    ];
    assert_eq!(named, expected);
    let shares: f64 = seen["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|node| node["share"].as_f64())
        .sum();
    assert!((0.999..1.001).contains(&shares), "{seen}");
    let placed = api.get("/ring?key=somewhere").await.expect(200).json();
    let owner = placed["owners"][0]["node"].as_str().unwrap();
    let written = api
        .request("PUT", "/cache/?key=somewhere&value=v")
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(written["node"], owner, "{placed}");
}
