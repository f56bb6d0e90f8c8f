//! `elasticore cluster`, and how every command finds somebody who does it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fake::{Fake, Reply, nobody};
use crate::program::{command, end, run};

fn member(name: &str, role: &str, changes: &Value) -> Value {
    let mut member = json!({ "name": name, "id": "00000000000000ff", "address": format!("{name}:9000"), "role": role,
        "matched": 120, "lag": 0, "silent_ms": 20, "disk_full": false });
    for (key, value) in changes.as_object().unwrap() {
        member[key] = value.clone();
    }
    member
}

fn status(quorum: bool) -> Value {
    json!({ "engine": "raft", "cluster_id": "0f9d", "answered_by": "master-2", "leader": quorum.then_some("master-1"), "term": 3,
        "committed": 120, "applied": 119, "snapshot": 100, "revision": 77, "db_bytes": 4096, "kv_bytes": 1024, "quota": 1048576,
        "disk_full": false, "quorum": quorum, "trouble": (!quorum).then_some("no majority: master-1, master-3 do not answer"),
        "members": [member("master-1", "leader", &json!({})), member("master-2", "voter", &json!({ "lag": 2, "matched": 118 })),
            member("master-3", "voter", &json!({ "silent_ms": 61_000 })), member("master-4", "learner", &json!({ "matched": null, "lag": null, "silent_ms": null }))] })
}

#[tokio::test]
async fn status_is_a_line_a_member_and_says_whether_there_is_a_majority() {
    let fake = Fake::always(Reply::json(200, status(true))).await;
    let ended = run(&fake.endpoint, &["cluster", "status"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let rows: Vec<Vec<&str>> = ended.text().lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows[0], ["MEMBER", "ROLE", "ADDRESS", "MATCHED", "LAG", "STATE", "ID"]);
    assert_eq!(
        rows[2],
        ["master-2", "voter", "master-2:9000", "118", "2", "ok", "00000000000000ff"]
    );
    assert_eq!((rows[3][5], rows[4][5]), ("silent for 1m 1s", "no answer"));
    assert_eq!(fake.only().line(), "GET /cluster/status");

    let lost = Fake::always(Reply::json(200, status(false))).await;
    let ended = run(&lost.endpoint, &["cluster", "status"]).await;
    assert_eq!(ended.code, 5);
    assert!(ended.stderr.contains("no majority: master-1, master-3"), "{}", ended.stderr);
    let json = run(&lost.endpoint, &["cluster", "status", "--output", "json"]).await;
    assert_eq!(
        (json.code, serde_json::from_slice::<Value>(&json.stdout).unwrap()),
        (5, status(false))
    );
}

#[tokio::test]
async fn list_shows_the_members() {
    let fake = Fake::always(Reply::json(
        200,
        json!({ "members": [member("etcd-1", "leader", &json!({}))] }),
    ))
    .await;
    let ended = run(&fake.endpoint, &["cluster", "list"]).await;
    assert!(
        ended
            .text()
            .lines()
            .nth(1)
            .unwrap()
            .starts_with("etcd-1\tleader\tetcd-1:9000\t120\t0\tok"),
        "{}",
        ended.text()
    );
    assert_eq!(fake.only().line(), "GET /cluster/members");
}

#[tokio::test]
async fn add_wants_the_token_and_sends_name_and_address() {
    let fake = Fake::always(Reply::json(201, member("master-4", "learner", &json!({})))).await;
    let arguments = ["cluster", "add", "master-4", "10.0.0.4:9000"];
    let mut without = command(&fake.endpoint, &arguments);
    let ended = end(without.env_remove("CLUSTER_TOKEN").spawn().unwrap()).await;
    assert!(
        ended.code == 2 && ended.stderr.contains("--cluster-token"),
        "{}",
        ended.stderr
    );
    assert!(fake.asked().is_empty());

    let mut with = command(&fake.endpoint, &arguments);
    let ended = end(with.env("CLUSTER_TOKEN", "secret").spawn().unwrap()).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let asked = fake.only();
    assert_eq!(
        (asked.line().as_str(), asked.header("x-cluster-token")),
        ("POST /cluster/join", Some("secret"))
    );
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(body, json!({ "name": "master-4", "address": "10.0.0.4:9000" }));
    assert!(ended.text().contains("master-4\tlearner"), "{}", ended.text());
}

#[tokio::test]
async fn add_that_waits_returns_when_the_newcomer_votes() {
    let looks = AtomicUsize::new(0);
    let fake = Fake::new(move |asked| match asked.target.as_str() {
        "/cluster/join" => Reply::json(201, member("master-4", "learner", &json!({}))),
        _ if looks.fetch_add(1, Ordering::SeqCst) == 0 => {
            Reply::json(200, json!({ "members": [member("master-4", "learner", &json!({}))] }))
        }
        _ => Reply::json(200, json!({ "members": [member("master-4", "voter", &json!({}))] })),
    })
    .await;
    let arguments = [
        "cluster",
        "add",
        "master-4",
        "10.0.0.4:9000",
        "--cluster-token",
        "secret",
        "--wait",
    ];
    let ended = run(&fake.endpoint, &arguments).await;
    assert!(
        ended.code == 0 && ended.text().contains("master-4\tvoter"),
        "{} {}",
        ended.text(),
        ended.stderr
    );
    assert_eq!(fake.asked().len(), 3);
}

#[tokio::test]
async fn remove_and_transfer_say_what_was_done() {
    let fake = Fake::always(Reply::new(204, "")).await;
    let ended = run(&fake.endpoint, &["cluster", "remove", "master/3"]).await;
    assert!(
        ended.code == 0 && ended.text().starts_with("removed master/3"),
        "{}",
        ended.stderr
    );
    assert_eq!(fake.only().line(), "DELETE /cluster/members/master%2F3");
    let refused = Fake::always(Reply::problem(409, "conflict", "there would be no majority")).await;
    let ended = run(&refused.endpoint, &["cluster", "remove", "master-3"]).await;
    assert!(ended.code == 4 && ended.stderr.contains("no majority"), "{}", ended.stderr);
    assert_eq!(refused.only().line(), "DELETE /cluster/members/master-3");

    let fake = Fake::always(Reply::json(200, json!({ "leader": "master-2" }))).await;
    let ended = run(&fake.endpoint, &["cluster", "transfer-leader", "master-2"]).await;
    assert_eq!((ended.code, ended.text()), (0, "master-2 leads\n"));
    assert_eq!(fake.only().body, b"{\"to\":\"master-2\"}");
    run(&fake.endpoint, &["cluster", "transfer-leader"]).await;
    assert_eq!(fake.asked()[1].body, b"{}");
}

#[tokio::test]
async fn snapshot_that_is_not_whole_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("saved");
    let fake = Fake::always(Reply::new(200, "half a snapshot")).await;
    let ended = run(&fake.endpoint, &["cluster", "snapshot", file.to_str().unwrap()]).await;
    assert!(
        ended.code == 1 && ended.stderr.contains("not a whole snapshot"),
        "{}",
        ended.stderr
    );
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    std::fs::write(&file, "mine").unwrap();
    let ended = run(&fake.endpoint, &["cluster", "snapshot", file.to_str().unwrap()]).await;
    assert!(ended.code == 2 && ended.stderr.contains("there already"), "{}", ended.stderr);
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

#[tokio::test]
async fn restore_refuses_what_it_cannot_use() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("damaged"), "no snapshot").unwrap();
    let (file, dir) = (path("damaged"), path("raft"));
    let wrong = [
        vec!["cluster", "restore", &*file, "--raft-dir", &*dir, "--node-id", "NO NAME"],
        vec![
            "cluster",
            "restore",
            &*file,
            "--raft-dir",
            &*dir,
            "--node-id",
            "m",
            "--initial-cluster",
            "m",
        ],
        vec![
            "cluster",
            "restore",
            &*file,
            "--raft-dir",
            &*dir,
            "--node-id",
            "m",
            "--initial-cluster",
            "n=h:1",
        ],
        vec!["cluster", "restore", &*file, "--raft-dir", &*dir, "--node-id", "m"],
    ];
    for arguments in wrong {
        let ended = run("http://127.0.0.1:9", &arguments).await;
        assert!(ended.code != 0 && !ended.stderr.is_empty(), "{arguments:?}");
        assert!(!std::path::Path::new(&dir).join("log").exists(), "{arguments:?}");
    }
}

#[tokio::test]
async fn server_is_another_name_for_endpoint() {
    let fake = Fake::always(Reply::new(200, "value")).await;
    let both = format!("{},{}", nobody().await, fake.endpoint);
    let ended = run("http://127.0.0.1:9", &["--server", &both, "kv", "get", "k"]).await;
    assert_eq!((ended.code, ended.text()), (0, "value"), "{}", ended.stderr);
}

#[tokio::test]
async fn redirects_are_followed_with_the_same_method_and_body() {
    let leader = Fake::always(Reply::new(200, "").header("etag", "\"5\"")).await;
    for status in [307, 308] {
        let target = format!("{}/kv/k?ttl=60", leader.endpoint);
        let follower = Fake::always(Reply::new(status, "").header("location", &target)).await;
        let ended = run(
            &follower.endpoint,
            &["-v", "kv", "set", "k", "v", "--ttl", "60", "--if-revision", "4"],
        )
        .await;
        assert_eq!((ended.code, ended.text()), (0, "stored k, revision 5\n"), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("points to") && ended.stderr.contains(&leader.endpoint),
            "{}",
            ended.stderr
        );
        let asked = leader.asked().pop().unwrap();
        assert_eq!(
            (asked.line().as_str(), asked.body.as_slice()),
            ("PUT /kv/k?ttl=60", &b"v"[..])
        );
        assert_eq!(asked.header("if-match"), Some("\"4\""));
    }
}

#[tokio::test]
async fn circle_of_redirects_ends() {
    let fake = Fake::always(Reply::new(307, "").header("location", "/kv/k")).await;
    let ended = run(&fake.endpoint, &["kv", "get", "k"]).await;
    assert!(ended.code != 0 && ended.stderr.contains("without an end"), "{}", ended.stderr);
    assert_eq!(fake.asked().len(), 6);
    let secret = Fake::always(Reply::new(307, "").header("location", "https://elsewhere/kv/k")).await;
    assert_ne!(run(&secret.endpoint, &["kv", "get", "k"]).await.code, 0);
}

#[tokio::test]
async fn leader_is_found_through_one_who_does_not_lead() {
    let leader = Fake::always(Reply::new(200, "").header("etag", "\"5\"")).await;
    let address = leader.endpoint.trim_start_matches("http://").to_owned();
    let follower = Fake::new(move |asked| match asked.target.as_str() {
        "/nodes" => Reply::json(
            200,
            json!({ "nodes": [{ "leader": false, "public_address": "a:1" }, { "leader": true, "public_address": address }] }),
        ),
        _ => Reply::problem(421, "not_leader", "another master leads"),
    })
    .await;
    let ended = run(&follower.endpoint, &["-v", "kv", "set", "k", "v"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("as the leader"), "{}", ended.stderr);
    assert_eq!(leader.only().line(), "PUT /kv/k");
}

#[tokio::test]
async fn command_outlives_a_change_of_the_leader() {
    let asked = AtomicUsize::new(0);
    let fake = Fake::new(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0..3 => Reply::problem(503, "unavailable", "no majority: master-1 does not answer"),
        _ => Reply::new(201, "").header("etag", "\"5\""),
    })
    .await;
    let ended = run(
        &format!("{},{}", nobody().await, fake.endpoint),
        &["-v", "kv", "set", "k", "v"],
    )
    .await;
    assert_eq!((ended.code, fake.asked().len()), (0, 4), "{}", ended.stderr);
    for said in ["cannot be reached; trying the next address", "no majority", "trying again in"] {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn pages_that_break_off_are_asked_of_another_master() {
    // The first answers one page and is gone.
    let first = AtomicUsize::new(0);
    let page = |key: &str, next: Value| json!({ "items": [{ "key": key, "value": "v", "revision": 1 }], "next": next });
    let dying = Fake::new(move |_| match first.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::json(200, page("a", json!("a"))),
        _ => Reply::problem(504, "timeout", "the leader did not answer"),
    })
    .await;
    let other = Fake::always(Reply::json(200, page("b", Value::Null))).await;
    let ended = run(&format!("{},{}", dying.endpoint, other.endpoint), &["kv", "list"]).await;
    assert_eq!(
        (ended.code, ended.text()),
        (0, "KEY\tREVISION\tVALUE\na\t1\tv\nb\t1\tv\n"),
        "{}",
        ended.stderr
    );
    assert!(other.only().line().contains("after=a"));
}

#[tokio::test]
async fn write_of_unknown_outcome_is_never_repeated() {
    let late = Fake::always(Reply::problem(504, "timeout", "outcome unknown")).await;
    let other = Fake::always(Reply::new(200, "")).await;
    for arguments in [
        &["kv", "set", "k", "v"][..],
        &["kv", "delete", "k"],
        &["cluster", "remove", "m"],
        &["cluster", "transfer-leader"],
    ] {
        let before = late.asked().len();
        let ended = run(&format!("{},{}", late.endpoint, other.endpoint), arguments).await;
        assert_eq!(
            (ended.code, late.asked().len()),
            (5, before + 1),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn patience_has_an_end() {
    let fake = Fake::always(Reply::problem(503, "unavailable", "no majority")).await;
    let begun = Instant::now();
    let ended = run(&fake.endpoint, &["kv", "get", "k", "--timeout", "1s"]).await;
    assert!(ended.code == 5 && ended.stderr.contains("no majority"), "{}", ended.stderr);
    assert!(fake.asked().len() > 1 && begun.elapsed() < Duration::from_secs(10));
}
