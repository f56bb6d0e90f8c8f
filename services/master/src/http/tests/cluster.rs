//! `/cluster`: members, status, changes and snapshots of a control store of one member. Several members are in
//! `tests/masters`.

use serde_json::{Value, json};

use super::kv::Side;

const TOKEN: (&str, &str) = ("x-cluster-token", "secret");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn single_master_is_its_own_leader() {
    let side = Side::raft().await;
    side.put("/kv/k", "v").await.expect(201);
    let members = side.get("/cluster/members").await.expect(200).json();
    let only = &members["members"][0];
    assert_eq!(
        (&only["name"], &only["role"], &only["lag"]),
        (&json!("master-1"), &json!("leader"), &json!(0)),
        "{members}"
    );
    assert_eq!(only["id"].as_str().unwrap().len(), 16);
    let status = side.get("/cluster/status").await.expect(200).json();
    assert_eq!(
        (&status["engine"], &status["leader"]),
        (&json!("raft"), &json!("master-1")),
        "{status}"
    );
    assert_eq!(
        (&status["quorum"], &status["answered_by"]),
        (&json!(true), &json!("master-1"))
    );
    for field in ["term", "committed", "applied", "revision", "db_bytes", "kv_bytes"] {
        assert!(status[field].as_u64() > Some(0), "{field}: {status}");
    }
    assert_eq!(status["quota"], 1_u64 << 30);
    assert!(status["trouble"].is_null(), "{status}");
    assert_eq!(status["members"], members["members"]);
}

#[tokio::test]
async fn only_voter_can_neither_leave_nor_hand_over() {
    let side = Side::raft().await;
    side.ask("DELETE", "/cluster/members/master-1")
        .await
        .problem(409, "conflict", "only voter");
    side.ask("DELETE", "/cluster/members/master-9")
        .await
        .problem(404, "not_found", "master-9");
    side.ask("POST", "/cluster/transfer-leader")
        .await
        .problem(409, "conflict", "");
    let to = |name: &str| json!({ "to": name });
    side.json("POST", "/cluster/transfer-leader", &to("master-9"))
        .await
        .problem(404, "not_found", "master-9");
    let itself = side
        .json("POST", "/cluster/transfer-leader", &to("master-1"))
        .await
        .expect(200)
        .json();
    assert_eq!(itself, json!({ "leader": "master-1" }));
}

#[tokio::test]
async fn joining_with_a_body_makes_a_place_for_a_learner() {
    let side = Side::raft().await;
    let join = |body: &Value| side.ask_with("POST", "/cluster/join", &[TOKEN, JSON], body.to_string());
    let wanted = json!({ "name": "master-2", "address": "127.0.0.1:9" });
    let added = join(&wanted).await.expect(201);
    assert_eq!(added.header("location"), "/cluster/members/master-2");
    let member = added.json();
    assert_eq!(
        (&member["name"], &member["address"], &member["role"]),
        (&json!("master-2"), &json!("127.0.0.1:9"), &json!("learner"))
    );
    assert_eq!(
        join(&wanted).await.expect(201).json()["id"],
        member["id"],
        "asked again, it is the same member"
    );
    join(&json!({ "name": "master-2", "address": "127.0.0.1:8" }))
        .await
        .problem(409, "conflict", "127.0.0.1:9");
    join(&json!({ "name": "master-3", "address": "127.0.0.1:9" }))
        .await
        .problem(409, "conflict", "master-2");
    let members = side.get("/cluster/members").await.expect(200).json();
    assert_eq!(members["members"].as_array().unwrap().len(), 2);
    side.ask("DELETE", "/cluster/members/master-2").await.expect(204);
    side.ask("DELETE", "/cluster/members/master-2")
        .await
        .problem(404, "not_found", "master-2");
    let again = join(&wanted).await.expect(201).json();
    assert_ne!(again["id"], member["id"], "an id is never used again");
}

#[tokio::test]
async fn joining_wants_the_token_and_a_name_with_an_address() {
    let side = Side::raft().await;
    let wanted = json!({ "name": "master-2", "address": "127.0.0.1:9" });
    side.json("POST", "/cluster/join", &wanted)
        .await
        .problem(401, "unauthenticated", "CLUSTER_TOKEN");
    let wrong = [("x-cluster-token", "guess"), JSON];
    side.ask_with("POST", "/cluster/join", &wrong, wanted.to_string())
        .await
        .problem(401, "unauthenticated", "");
    let address = |address: &str| json!({ "name": "master-2", "address": address }).to_string();
    for body in [
        json!({ "name": "", "address": "a:1" }).to_string(),
        json!({ "name": "NO NAME", "address": "a:1" }).to_string(),
        json!({ "name": "master-2" }).to_string(),
        json!({ "address": "a:1" }).to_string(),
        json!({ "name": "master-2", "address": "a:1", "vote": true }).to_string(),
        address(""),
        address("a"),
        address("a:0"),
        address("http://a:1"),
        address("a:1/path"),
        "[]".to_owned(),
        "not json".to_owned(),
        "{".to_owned(),
    ] {
        let refused = side.ask_with("POST", "/cluster/join", &[TOKEN, JSON], body.clone()).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["code"]),
            (400, &json!("invalid_argument")),
            "{body}"
        );
    }
    for body in ["[]", "{\"to\":1}", "{\"too\":\"master-1\"}", "x"] {
        side.ask_with("POST", "/cluster/transfer-leader", &[JSON], body)
            .await
            .problem(400, "invalid_argument", "");
    }
    let members = side.get("/cluster/members").await.expect(200).json();
    assert_eq!(members["members"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn joining_without_a_body_tells_where_the_store_is() {
    let side = Side::raft().await;
    let told = side.ask_with("POST", "/cluster/join", &[TOKEN], "").await.expect(200).json();
    assert_eq!(told, json!({ "control": { "kind": "remote", "masters": ["127.0.0.1:1"] } }));
}

#[tokio::test]
async fn snapshot_is_a_file_that_checks_itself() {
    let side = Side::raft().await;
    for i in 0..100 {
        side.put(&format!("/kv/k{i}"), vec![b'v'; 1000]).await.expect(201);
    }
    let answer = side.get("/cluster/snapshot").await.expect(200);
    let revision: u64 = answer.header("etag").trim_matches('"').parse().unwrap();
    assert_eq!(
        answer.header("content-disposition"),
        format!("attachment; filename=\"elasticore-{revision}.snapshot\"")
    );
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("snapshot");
    std::fs::write(&file, &answer.body).unwrap();
    let inspected = control::raft::inspect(&file).unwrap();
    assert_eq!(inspected.revision, revision);
    assert!(inspected.keys >= 100 && inspected.bytes > 100_000, "{inspected:?}");
    std::fs::write(&file, &answer.body[..answer.body.len() - 1]).unwrap();
    control::raft::inspect(&file).unwrap_err();
    let mut damaged = answer.body.clone();
    damaged[answer.body.len() / 2] ^= 1;
    std::fs::write(&file, damaged).unwrap();
    control::raft::inspect(&file).unwrap_err();
}

#[cfg(feature = "etcd")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_is_shown_and_not_changed() {
    let side = Side::etcd().await;
    side.put("/kv/k", "v").await.expect(201);
    let status = side.get("/cluster/status").await.expect(200).json();
    assert_eq!(
        (&status["engine"], &status["leader"]),
        (&json!("etcd"), &json!("etcd-1")),
        "{status}"
    );
    assert_eq!((&status["quorum"], &status["kv_bytes"]), (&json!(true), &Value::Null));
    assert!(status["term"].as_u64() > Some(0) && status["db_bytes"].as_u64() > Some(0) && status["revision"].as_u64() > Some(1));
    let members = side.get("/cluster/members").await.expect(200).json();
    assert_eq!(
        (
            &members["members"][0]["name"],
            &members["members"][0]["role"],
            &members["members"][0]["lag"]
        ),
        (&json!("etcd-1"), &json!("leader"), &json!(0)),
        "{members}"
    );
    let wanted = json!({ "name": "master-2", "address": "127.0.0.1:9" }).to_string();
    side.ask_with("POST", "/cluster/join", &[TOKEN, JSON], wanted)
        .await
        .problem(409, "conflict", "etcdctl");
    side.ask("DELETE", "/cluster/members/etcd-1")
        .await
        .problem(409, "conflict", "etcdctl");
    side.ask("POST", "/cluster/transfer-leader")
        .await
        .problem(409, "conflict", "etcdctl");
    side.get("/cluster/snapshot")
        .await
        .problem(409, "conflict", "etcdctl snapshot save");
}
