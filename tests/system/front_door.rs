//! What the README promises, asked through NGINX of three masters on three etcd servers.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use api::ErrorCode;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};
use system_tests::{Api, Sandbox, eventually, raw};

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
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_kv_and_operations_keep_their_promises_through_nginx() {
    let mut stack = Sandbox::etcd(3).start().await;
    let api = stack.api();
    cache_takes_both_forms(&api).await;
    cache_keeps_conditions(&api).await;
    cache_counts(&api).await;
    cache_takes_batches(&api).await;
    cache_separates_namespaces(&api).await;
    cache_forgets_in_time(&api).await;
    kv_keeps_conditions_and_lists(&api).await;
    kv_transacts(&api).await;
    kv_tells_watchers(&api).await;
    every_master_answers_the_same(&stack).await;
    request_ids_come_back(&api).await;
    document_lists_every_route(&api).await;
    nodes_are_listed(&api).await;
    internal_routes_stay_inside(&mut stack).await;
    operations_travel_in_batches(&stack).await;
    every_service_has_its_metrics(&mut stack).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}

async fn cache_takes_both_forms(api: &Api) {
    let written = api
        .request("PUT", "/cache/?key=user:1&value=caf%C3%A9+noir&ttl=60")
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&written["key"], &written["ttl"]),
        (&json!("user:1"), &json!(60)),
        "{written}"
    );
    let node = written["node"].as_str().unwrap();
    assert!(node.starts_with("auxiliary-"), "{written}");

    let read = api.get("/cache/?key=user:1").await.expect(200).json();
    assert_eq!(
        (&read["value"], &read["version"], &read["node"]),
        (&json!("café noir"), &written["version"], &written["node"])
    );
    assert!(matches!(read["ttl"].as_u64(), Some(55..=60)), "{read}");
    let same = api.get("/cache/user:1").await.expect(200);
    assert_eq!(same.text(), "café noir");
    assert_eq!((same.header("x-cache"), same.header("x-cache-node")), ("HIT", node));
    assert_eq!(same.header("etag"), format!("\"{}\"", written["version"]));

    let bytes = vec![0, 255, 10, 13, 0];
    let image = || {
        api.request("PUT", "/cache/a%2Fb")
            .header("content-type", "image/png")
            .body(bytes.clone())
            .send()
    };
    image().await.expect(201);
    image().await.expect(200);
    let read = api.get("/cache/a%2Fb").await.expect(200);
    assert_eq!((read.body.clone(), read.header("content-type")), (bytes, "image/png"));
    let read = api.get("/cache/?key=a%2Fb").await.expect(200).json();
    assert_eq!((&read["value"], &read["encoding"]), (&json!("AP8KDQA="), &json!("base64")));
    let head = api.request("HEAD", "/cache/a%2Fb").send().await.expect(200);
    assert_eq!((head.body.len(), head.header("content-length")), (0, "5"));

    api.put("/cache/empty", "").await.expect(201);
    assert_eq!(api.get("/cache/empty").await.expect(200).body, b"");

    api.delete("/cache/?key=user:1").await.expect(200);
    api.delete("/cache/user:1").await.problem(404, ErrorCode::NotFound);
    api.delete("/cache/a%2Fb").await.expect(204);
    for gone in ["/cache/a%2Fb", "/cache/?key=user:1", "/cache/never"] {
        api.get(gone).await.problem(404, ErrorCode::NotFound);
    }
}

async fn cache_keeps_conditions(api: &Api) {
    let put = |name, value: &str| api.request("PUT", "/cache/conditional").header(name, value).body("v").send();
    put("if-match", "*").await.problem(412, ErrorCode::PreconditionFailed);
    let first = put("if-none-match", "*").await.expect(201).header("etag").to_owned();
    put("if-none-match", "*").await.problem(412, ErrorCode::PreconditionFailed);
    let second = put("if-match", &first).await.expect(200).header("etag").to_owned();
    assert_ne!(first, second);
    put("if-match", &first).await.problem(412, ErrorCode::PreconditionFailed);
    let stale = api
        .request("DELETE", "/cache/conditional")
        .header("if-match", &first)
        .send()
        .await;
    stale.problem(412, ErrorCode::PreconditionFailed);
    api.request("DELETE", "/cache/conditional")
        .header("if-match", &second)
        .send()
        .await
        .expect(204);
}

async fn cache_counts(api: &Api) {
    let incr = |by: i64| api.request("POST", &format!("/cache/_incr?key=hits&by={by}")).send();
    assert_eq!(incr(5).await.expect(200).json(), json!({ "value": 5 }));
    assert_eq!(incr(-7).await.expect(200).json(), json!({ "value": -2 }));
    assert_eq!(api.get("/cache/hits").await.expect(200).text(), "-2");
    // Whichever master each went to: none is lost.
    let together: FuturesUnordered<_> = (0..100).map(|_| incr(1)).collect();
    together.for_each(async |answer| drop(answer.expect(200))).await;
    assert_eq!(incr(0).await.expect(200).json(), json!({ "value": 98 }));
    api.put("/cache/text", "no number").await.expect(201);
    api.request("POST", "/cache/_incr?key=text")
        .send()
        .await
        .problem(409, ErrorCode::Conflict);
}

async fn cache_takes_batches(api: &Api) {
    let ops = json!({ "ops": [
        { "op": "get", "key": "batch/1" },
        { "op": "put", "key": "batch/1", "value": "one", "ttl": 60 },
        { "op": "put", "key": "batch/1", "value": "AAE=", "encoding": "base64" },
        { "op": "get", "key": "batch/1" },
        { "op": "delete", "key": "batch/1" },
        { "op": "get", "key": "batch/1" },
    ]});
    let results = api.post("/cache/_batch", &ops).await.expect(200).json();
    let results = results["results"].as_array().unwrap();
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert!(matches!(statuses[..], [404, 201, 200, 200, 200 | 204, 404]), "{results:?}");
    assert_eq!(results[0]["error"]["code"], "not_found");
    assert_eq!(results[3]["value"], "\u{0}\u{1}");

    // Over all owners, and in the order of the operations.
    let put: Vec<_> = (0..500)
        .map(|i| json!({ "op": "put", "key": format!("many/{i}"), "value": i.to_string() }))
        .collect();
    api.post("/cache/_batch", &json!({ "ops": put })).await.expect(200);
    let get: Vec<_> = (0..500).map(|i| json!({ "op": "get", "key": format!("many/{i}") })).collect();
    let read = api.post("/cache/_batch", &json!({ "ops": get })).await.expect(200).json();
    let mut owners = BTreeSet::new();
    for (i, result) in read["results"].as_array().unwrap().iter().enumerate() {
        assert_eq!(
            (&result["status"], &result["value"]),
            (&json!(200), &json!(i.to_string())),
            "{result}"
        );
        owners.insert(result["node"].as_str().unwrap().to_owned());
    }
    assert_eq!(owners.len(), 3, "{owners:?}");
}

async fn cache_separates_namespaces(api: &Api) {
    api.put("/cache/shared?ns=a", "of a").await.expect(201);
    api.get("/cache/shared").await.problem(404, ErrorCode::NotFound);
    let by_header = api.request("GET", "/cache/shared").header("x-namespace", "a").send().await;
    assert_eq!(by_header.expect(200).text(), "of a");
}

async fn cache_forgets_in_time(api: &Api) {
    let written = Instant::now();
    api.put("/cache/brief?ttl=1.5", "soon gone").await.expect(201);
    assert_eq!(api.get("/cache/brief").await.expect(200).header("x-cache-ttl"), "2");
    eventually("the entry to expire", Duration::from_secs(10), || async {
        let answer = api.get("/cache/brief").await;
        if answer.status == 404 {
            Ok(())
        } else {
            Err(answer.to_string())
        }
    })
    .await;
    let lived = written.elapsed();
    assert!(
        (Duration::from_millis(1400)..Duration::from_secs(5)).contains(&lived),
        "it lived {lived:?}"
    );
}

async fn kv_keeps_conditions_and_lists(api: &Api) {
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

async fn kv_transacts(api: &Api) {
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

async fn kv_tells_watchers(api: &Api) {
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
        while text.matches("\n\n").count() - text.matches(":\n\n").count() < 3 {
            text.push_str(&String::from_utf8_lossy(&events.next().await.unwrap().unwrap()));
        }
        text
    });
    let heard = heard.await.expect("three events arrive, each at once");
    let names: Vec<_> = heard.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, ["put", "put", "delete"], "{heard}");
    let data: Vec<Value> = heard
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    assert_eq!((&data[0]["key"], &data[0]["value"]), (&json!("watched/0"), &json!("before")));
    assert_eq!((&data[1]["key"], &data[1]["value"]), (&json!("watched/1"), &json!("live")));
    assert_eq!(data[2]["key"], "watched/0");
    let ids: Vec<u64> = heard
        .lines()
        .filter_map(|line| line.strip_prefix("id: ")?.parse().ok())
        .collect();
    assert!(ids.len() == 3 && ids.is_sorted() && ids[0] == revision, "{heard}");
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

async fn internal_routes_stay_inside(stack: &mut Sandbox) {
    let door = stack.address();
    for path in [
        "/internal",
        "/internal/",
        "/internal/v1/jobs/poll",
        "//internal/v1/jobs/poll",
        "/%69nternal/v1/jobs/poll",
        "/cache/../internal/v1/jobs/poll",
        "/cache/%2e%2e/internal/v1/jobs/poll",
        "/internal%2Fv1/jobs/poll",
        "/./internal/v1/jobs/poll",
    ] {
        for method in ["GET", "POST"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nX-Cluster-Token: {}\r\nContent-Length: 0\r\n\r\n",
                stack.token
            );
            let answer = raw::exchange(&door, request.as_bytes(), Duration::from_secs(20))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(answer.refusal(), Ok((404, ErrorCode::NotFound)), "{method} {path}");
        }
    }
    let token = stack.token.clone();
    for node in stack.nodes() {
        let private = node.private();
        private
            .request("POST", "/internal/v1/nothing")
            .send()
            .await
            .problem(401, ErrorCode::Unauthenticated);
        let wrong = private
            .request("POST", "/internal/v1/nothing")
            .header("x-cluster-token", "guessed")
            .send()
            .await;
        wrong.problem(401, ErrorCode::Unauthenticated);
        let right = private
            .request("POST", "/internal/v1/nothing")
            .header("x-cluster-token", &token)
            .send()
            .await;
        right.problem(404, ErrorCode::NotFound);
    }
    stack
        .api()
        .request("POST", "/cluster/join")
        .send()
        .await
        .problem(401, ErrorCode::Unauthenticated);
    for master in &stack.masters {
        master
            .public()
            .get("/internal/v1/jobs/poll")
            .await
            .problem(404, ErrorCode::NotFound);
    }
}

/// Requests at the auxiliaries, and operations that came in them.
async fn at_auxiliaries(stack: &Sandbox) -> (f64, f64) {
    let (mut requests, mut operations) = (0.0, 0.0);
    for auxiliary in &stack.auxiliaries {
        let metrics = auxiliary.metrics().await;
        requests += metrics.sum("http_requests_total", &["route=\"/internal/v1/cache"]);
        operations += metrics.sum("cache_operations_total", &[]);
    }
    (requests, operations)
}

async fn operations_travel_in_batches(stack: &Sandbox) {
    let before = at_auxiliaries(stack).await;
    let clients: FuturesUnordered<_> = (0..96)
        .map(|client| {
            let master = stack.masters[client % stack.masters.len()].public();
            async move {
                for i in 0..30 {
                    master.put(&format!("/cache/burst-{client}-{i}"), "v").await.expect(201);
                }
            }
        })
        .collect();
    clients.collect::<()>().await;
    let after = at_auxiliaries(stack).await;
    let (requests, operations) = (after.0 - before.0, after.1 - before.1);
    assert_eq!(operations, 96.0 * 30.0, "each operation is executed once");
    assert!(
        requests > 0.0 && requests < operations * 0.75,
        "{operations} operations came in {requests} requests"
    );
}

async fn every_service_has_its_metrics(stack: &mut Sandbox) {
    let common = [
        ("server_uptime_seconds", "gauge"),
        ("http_requests_total", "counter"),
        ("http_request_duration_seconds", "histogram"),
        ("http_requests_in_flight", "gauge"),
        ("process_resident_memory_bytes", "gauge"),
    ];
    let cache = [
        ("cache_operations_total", "counter"),
        ("cache_request_duration_seconds", "histogram"),
    ];
    let leader = stack.leader(Duration::from_secs(15)).await;
    let leader = stack.masters[leader].name().to_owned();
    for node in stack.nodes() {
        let (metrics, name) = (node.metrics().await, node.name().to_owned());
        let mut expected = common.to_vec();
        match name.split('-').next() {
            Some("master") => expected.extend(
                cache
                    .iter()
                    .chain(&[("cluster_is_leader", "gauge"), ("cluster_ring_changes_total", "counter")]),
            ),
            Some("auxiliary") => expected.extend(cache.iter().chain(&[("cache_size_current", "gauge")])),
            _ => {}
        }
        for (family, kind) in expected {
            assert!(metrics.has(family, kind), "{name} has no {kind} {family}");
        }
        assert!(metrics.sum("server_uptime_seconds", &[]) > 0.0, "{name}");
        assert!(metrics.sum("http_requests_total", &[]) > 0.0, "{name}");
        if name.starts_with("auxiliary") {
            assert!(metrics.sum("cache_size_current", &[]) > 0.0, "{name} holds entries");
            assert!(
                metrics.sum("cache_operations_total", &["operation=\"get\"", "result=\"hit\""]) > 0.0,
                "{name} had hits"
            );
        }
        if name.starts_with("master") {
            assert_eq!(
                metrics.sum("cluster_is_leader", &[]),
                f64::from(u8::from(name == leader)),
                "{name}"
            );
        }
        // Labels are bounded: no key, id or raw path ever becomes one.
        let text = node.private().get("/metrics").await.text();
        for secret in ["user:1", "burst-", "nowhere", "/cache/brief"] {
            assert!(!text.contains(secret), "{name} has a label with {secret:?}");
        }
    }
}
