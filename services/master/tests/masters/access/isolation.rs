//! A key sees its own namespaces, and of others not even that they are there.

use serde_json::json;

use super::{Guarded, ROOT, code, forbidden};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_reach_their_own_namespaces_only() {
    let guarded = Guarded::start(1, |_| {}).await;
    let (_, a) = guarded.key(1, &["writer:team-a:*", "jobs:team-a:jobs"]).await;
    let job = json!({ "query": "select 1" });
    let (status, own) = guarded.ask(1, &a, "POST", "/jobs?ns=team-a", Some(&job)).await.unwrap();
    assert_eq!(status, 202, "{own}");
    let (_, foreign) = guarded.ask(1, ROOT, "POST", "/jobs?ns=team-b", Some(&job)).await.unwrap();
    let foreign = foreign["id"].as_str().unwrap();

    for path in [
        "/jobs",
        "/datasets",
        "/events",
        "/cache/x",
        "/datasets/d",
        "/datasets/d/f.csv",
        &format!("/jobs/{foreign}"),
        &format!("/jobs/{foreign}/result"),
        &format!("/jobs/{foreign}/events"),
        &format!("/jobs/{foreign}/plan"),
        &format!("/jobs/{foreign}/tasks"),
    ] {
        for namespace in ["team-b", "", "*"] {
            let told = forbidden(guarded.ask(1, &a, "GET", &format!("{path}?ns={namespace}"), None).await);
            assert!(told.contains("wants a grant such as"), "{told}");
        }
        // By its id in one's own namespace a job of others is as one that never was.
        if path.contains(foreign) {
            assert_eq!(
                guarded.status(1, &a, "GET", &format!("{path}?ns=team-a")).await,
                404,
                "{path}"
            );
        }
    }
    assert_eq!(
        guarded.status(1, &a, "DELETE", &format!("/jobs/{foreign}?ns=team-a")).await,
        404
    );
    let (_, listed) = guarded.ask(1, &a, "GET", "/jobs?ns=team-a", None).await.unwrap();
    let ids: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [own["id"].as_str().unwrap()]);
    for path in ["/kv", "/kv/x", "/kv/_watch"] {
        assert_eq!(
            guarded.status(1, &a, "GET", &format!("{path}?ns=team-b")).await,
            403,
            "{path}"
        );
    }
    // What tells of all namespaces is for those who may see all.
    for path in [
        "/namespaces",
        "/namespaces/team-a",
        "/metrics",
        "/nodes",
        "/ring",
        "/backups",
        "/cluster/snapshot",
    ] {
        assert_eq!(guarded.status(1, &a, "GET", path).await, 403, "{path}");
    }
    guarded.stop(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_read_only_what_their_key_may_read() {
    let guarded = Guarded::start(1, |_| {}).await;
    let (_, key) = guarded.key(1, &["jobs:team-a:jobs", "reader:team-b:*"]).await;
    let submit = async |spec: serde_json::Value| guarded.ask(1, &key, "POST", "/jobs?ns=team-a", Some(&spec)).await;
    assert_eq!(code(&submit(json!({ "query": "select 1" })).await), 202);
    for (table, grant) in [
        (json!({ "dataset": "d" }), "reader:team-a:datasets"),
        (json!({ "uri": "kv:users/" }), "reader:team-a:kv"),
        (json!({ "uri": "file:///etc/passwd" }), "jobs:*:jobs"),
        (json!({ "uri": "http://169.254.169.254/latest/meta-data.csv" }), "jobs:*:jobs"),
        (json!({ "uri": "s3://bucket/x.parquet" }), "jobs:*:jobs"),
    ] {
        let spec = json!({ "query": "select * from t", "tables": { "t": table } });
        let told = forbidden(submit(spec.clone()).await);
        assert!(told.ends_with(grant), "{table}: {told}");
        let dry = guarded
            .ask(1, &key, "POST", "/jobs?ns=team-a&dry_run=true", Some(&spec))
            .await;
        assert_eq!(code(&dry), 403, "planning reads too");
    }
    for spec in [
        json!({ "query": "create table d as select 1" }),
        json!({ "query": "select 1", "output": { "dataset": "d" } }),
    ] {
        let told = forbidden(submit(spec).await);
        assert!(told.ends_with("writer:team-a:datasets"), "{told}");
    }
    guarded.stop(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_and_loads_write_only_for_those_who_may() {
    let guarded = Guarded::start(1, |settings| {
        settings.request_timeout = settings::HumanDuration(std::time::Duration::from_millis(800));
    })
    .await;
    let (_, reader) = guarded.key(1, &["reader:team-a:cache"]).await;
    for op in [
        json!({ "op": "put", "key": "k", "value": "v" }),
        json!({ "op": "delete", "key": "k" }),
        json!({ "op": "incr", "key": "k" }),
        json!({ "op": "touch", "key": "k", "ttl": 5 }),
    ] {
        let batch = json!({ "ops": [{ "op": "get", "key": "k" }, op] });
        let told = forbidden(guarded.ask(1, &reader, "POST", "/cache/_batch?ns=team-a", Some(&batch)).await);
        assert!(told.ends_with("writer:team-a:cache"), "{told}");
    }
    let elsewhere = json!({ "ops": [{ "op": "get", "key": "k", "ns": "team-b" }] });
    let outcome = guarded
        .ask(1, &reader, "POST", "/cache/_batch?ns=team-a", Some(&elsewhere))
        .await;
    assert!(matches!(code(&outcome), 400 | 403), "{outcome:?}");
    let told = forbidden(guarded.ask(1, &reader, "GET", "/cache/k?ns=team-a&load=5", None).await);
    assert!(told.ends_with("writer:team-a:cache"), "{told}");
    let reads = json!({ "ops": [{ "op": "get", "key": "k" }] });
    let outcome = guarded.ask(1, &reader, "POST", "/cache/_batch?ns=team-a", Some(&reads)).await;
    assert!(!matches!(code(&outcome), 401 | 403), "{outcome:?}");
    guarded.stop(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_key_finds_its_own_under_the_same_name() {
    let guarded = Guarded::start(1, |_| {}).await;
    let namespaces = ["team-a", "team-b"];
    let mut keys = Vec::new();
    for namespace in namespaces {
        let (_, key) = guarded.key(1, &[&format!("writer:{namespace}:kv")]).await;
        let txn = json!({ "then": [{ "op": "put", "key": "x", "value": namespace }] });
        let outcome = guarded
            .ask(1, &key, "POST", &format!("/kv/_txn?ns={namespace}"), Some(&txn))
            .await;
        assert_eq!(code(&outcome), 200, "{outcome:?}");
        keys.push(key);
    }
    for (own, foreign, key) in [("team-a", "team-b", &keys[0]), ("team-b", "team-a", &keys[1])] {
        let (_, listed) = guarded.ask(1, key, "GET", &format!("/kv?ns={own}"), None).await.unwrap();
        assert_eq!(listed["items"][0]["value"], own, "{listed}");
        assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
        for path in ["/kv", "/kv/x", "/kv/_watch"] {
            assert_eq!(
                guarded.status(1, key, "GET", &format!("{path}?ns={foreign}")).await,
                403,
                "{path}"
            );
            assert_eq!(
                guarded.status(1, key, "GET", path).await,
                403,
                "the default one is another one: {path}"
            );
        }
        let txn = json!({ "then": [{ "op": "delete", "key": "x" }] });
        let outcome = guarded
            .ask(1, key, "POST", &format!("/kv/_txn?ns={foreign}"), Some(&txn))
            .await;
        assert_eq!(code(&outcome), 403);
    }
    guarded.stop(1).await;
}
