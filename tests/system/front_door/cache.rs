//! The cache at the front door.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use api::ErrorCode;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::json;
use system_tests::{Api, eventually};

pub(super) async fn takes_both_forms(api: &Api) {
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

pub(super) async fn keeps_conditions(api: &Api) {
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

pub(super) async fn counts(api: &Api) {
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

pub(super) async fn takes_batches(api: &Api) {
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

pub(super) async fn separates_namespaces(api: &Api) {
    api.put("/cache/shared?ns=a", "of a").await.expect(201);
    api.get("/cache/shared").await.problem(404, ErrorCode::NotFound);
    let by_header = api.request("GET", "/cache/shared").header("x-namespace", "a").send().await;
    assert_eq!(by_header.expect(200).text(), "of a");
}

pub(super) async fn forgets_in_time(api: &Api) {
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
