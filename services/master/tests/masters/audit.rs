//! The audit log of a master, as an operator finds it.

use std::path::Path;

use serde_json::{Value, json};

use crate::access::{Guarded, ROOT};
use crate::raw::Request;
use crate::support::{Masters, TOKEN};

const KEY: &str = "ek_0123456789abcdef0123456789abcdef0123456789abcdef";

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}")))
        .collect()
}

fn events<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_and_denials_are_told_without_secrets_or_forged_lines() {
    let mut masters = Masters::of(1);
    let path = masters.scratch("audit.log");
    let named = path.to_str().unwrap().to_owned();
    masters.change(1, |settings| settings.audit_log = named);
    masters.start_all(&[1]).await;
    let address = masters.public(1);
    let with_secrets = |method, path: &str| {
        Request::new(method, path)
            .header("Authorization", &format!("Bearer {KEY}"))
            .header("X-Api-Key", KEY)
            .header("X-Request-Id", "seen-7")
            .header("Content-Type", "application/json")
    };
    // Done, refused by what there is, denied.
    let drained = with_secrets("POST", &format!("/nodes/nobody%0A%1b[2J%22,%22x/drain?key={KEY}"));
    assert_eq!(drained.send("127.0.0.1", &address).await.status, 404);
    let restored = with_secrets("POST", &format!("/restore?mode=merge&token={KEY}")).body(&format!("{{\"key\":\"{KEY}\"}}"));
    assert_eq!(restored.send("127.0.0.2", &address).await.status, 400);
    for guess in 0..30 {
        let guessed = with_secrets("POST", "/cluster/join").header("X-Cluster-Token", &format!("{TOKEN}{guess}"));
        assert_eq!(guessed.send("127.0.0.3", &address).await.status, 401);
    }
    let joined = with_secrets("POST", "/cluster/join").header("X-Cluster-Token", TOKEN);
    assert_eq!(joined.send("127.0.0.1", &address).await.status, 200);
    // Reads and writes of data are no matter of it.
    masters.put(1, "/kv/k", "v").await.unwrap();
    masters.stop(&[1]).await;

    let text = std::fs::read_to_string(&path).unwrap();
    for secret in [KEY, &format!("{TOKEN}\""), &format!("{TOKEN}1")] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    assert!(
        text.bytes().all(|byte| byte == b'\n' || (0x20..0x7f).contains(&byte)),
        "{text:?}"
    );
    let lines = lines(&path);
    let drains = events(&lines, "drain");
    assert_eq!(drains.len(), 1, "{text}");
    assert_eq!(drains[0]["target"], "nobody\n\u{1b}[2J\",\"x");
    assert_eq!(
        (
            &drains[0]["action"],
            &drains[0]["status"],
            &drains[0]["request_id"],
            &drains[0]["node"],
            &drains[0]["address"]
        ),
        (
            &json!("POST /nodes/{id}/drain"),
            &json!(404),
            &json!("seen-7"),
            &json!("master-1"),
            &json!("127.0.0.1")
        )
    );
    let restores = events(&lines, "restore");
    assert_eq!((restores.len(), &restores[0]["outcome"]), (1, &json!("refused")), "{text}");
    // Of thirty guesses some are told, and how many were not.
    let joins = events(&lines, "cluster.join");
    let denied: Vec<_> = joins.iter().filter(|line| line["outcome"] == "unauthenticated").collect();
    assert_eq!((denied.len(), joins.len()), (10, 11), "{text}");
    assert_eq!(denied[0]["address"], "127.0.0.3");
    let suppressed = events(&lines, "denied.suppressed");
    assert_eq!(
        (suppressed.len(), &suppressed[0]["details"]["requests"]),
        (1, &json!("20")),
        "{text}"
    );
    assert_eq!(events(&lines, "leader.changed").len(), 1, "{text}");
    assert!(lines.iter().all(|line| !line.to_string().contains("/kv")), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_tells_who_comes_and_goes_and_its_successor_what_it_missed() {
    let mut masters = Masters::of(3);
    let paths: Vec<_> = (1..=3).map(|at| masters.scratch(&format!("audit-{at}.log"))).collect();
    for at in 1..=3 {
        let named = paths[at - 1].to_str().unwrap().to_owned();
        masters.change(at, |settings| settings.audit_log = named);
    }
    masters.start_all(&[1, 2, 3]).await;
    let all = || paths.iter().flat_map(|path| lines(path)).collect::<Vec<_>>();
    masters
        .until("a leader in the log", async || !events(&all(), "leader.changed").is_empty())
        .await;
    let leader = events(&all(), "leader.changed")[0]["target"].as_str().unwrap().to_owned();
    let leader: usize = leader.strip_prefix("master-").unwrap().parse().unwrap();
    masters.stop(&[leader]).await;
    let rest: Vec<usize> = (1..=3).filter(|at| *at != leader).collect();
    let name = format!("master-{leader}");
    masters
        .until("its end in the log of another", async || {
            let others = rest.iter().flat_map(|at| lines(&paths[at - 1])).collect::<Vec<_>>();
            let told = |event: &str, target: &str| events(&others, event).iter().any(|line| line["target"] == *target);
            told("node.left", &name) && rest.iter().any(|at| told("leader.changed", &format!("master-{at}")))
        })
        .await;
    masters.start_all(&[leader]).await;
    masters
        .until("its return", async || {
            let others = rest.iter().flat_map(|at| lines(&paths[at - 1])).collect::<Vec<_>>();
            events(&others, "node.joined").iter().any(|line| line["target"] == *name)
        })
        .await;
    masters.stop(&[1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_life_of_a_key_is_told_and_never_its_text() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    let named = path.to_str().unwrap().to_owned();
    let guarded = Guarded::start(1, |settings| settings.audit_log.clone_from(&named)).await;
    let (id, first) = guarded.key(1, &["reader:*:*"]).await;
    let rotated = guarded
        .ask(1, ROOT, "POST", &format!("/auth/keys/{id}/rotate"), None)
        .await
        .unwrap()
        .1;
    let second = rotated["key"].as_str().unwrap().to_owned();
    let knows = async || guarded.status(1, &second, "GET", "/auth/whoami").await == 200;
    guarded.masters.until("the other secret to be known", knows).await;
    assert_eq!(guarded.status(1, &second, "POST", "/nodes/auxiliary-1/drain").await, 403);
    assert_eq!(guarded.status(1, &second, "PUT", "/kv/secret-name").await, 403);
    assert_eq!(guarded.status(1, ROOT, "DELETE", &format!("/auth/keys/{id}")).await, 200);
    let unknown = async || guarded.status(1, &second, "GET", "/kv").await == 401;
    guarded.masters.until("the key to be revoked", unknown).await;
    guarded.stop(1).await;

    let text = std::fs::read_to_string(&path).unwrap();
    for secret in [first.as_str(), second.as_str(), ROOT, "secret-name", TOKEN] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    let lines = lines(&path);
    for event in ["key.created", "key.rotated", "key.revoked"] {
        let told = events(&lines, event);
        assert_eq!(
            (told.len(), &told[0]["target"], &told[0]["outcome"]),
            (1, &json!(id), &json!("done")),
            "{event}: {text}"
        );
        assert_eq!(
            (&told[0]["actor"]["kind"], &told[0]["details"]["name"]),
            (&json!("root"), &json!("test")),
            "{event}: {text}"
        );
    }
    let by_key = |line: &&Value| line["actor"]["id"] == *id && line["actor"]["name"] == "test" && line["outcome"] == "forbidden";
    let (drains, denied) = (events(&lines, "drain"), events(&lines, "denied"));
    assert_eq!(drains.iter().copied().filter(by_key).count(), 1, "{text}");
    assert_eq!(denied.iter().copied().filter(by_key).count(), 1, "{text}");
    assert!(
        denied
            .iter()
            .any(|line| line["outcome"] == "unauthenticated" && line["action"] == "GET /kv"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_node_and_knocks_at_the_private_port_is_told_a_bounded_number_of_times() {
    let mut masters = Masters::of(1);
    let path = masters.scratch("audit.log");
    let named = path.to_str().unwrap().to_owned();
    masters.change(1, |settings| settings.audit_log = named);
    masters.start_all(&[1]).await;
    let private = masters.private(1);
    for guess in 0..30 {
        let knocks = Request::new("GET", &format!("/internal/v1/cluster/status?key={KEY}"))
            .header("X-Cluster-Token", &format!("{TOKEN}{guess}"))
            .header("X-Request-Id", "knocks");
        assert_eq!(knocks.send("127.0.0.4", &private).await.status, 401);
    }
    masters.stop(&[1]).await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(KEY) && !text.contains(&format!("{TOKEN}1")), "{text}");
    let lines = lines(&path);
    let denied = events(&lines, "denied");
    assert_eq!(denied.len(), 10, "{text}");
    for line in denied {
        assert_eq!(
            (&line["address"], &line["action"]),
            (&json!("127.0.0.4"), &json!("GET /internal/v1/cluster/status"))
        );
        assert_eq!((&line["outcome"], &line["status"]), (&json!("unauthenticated"), &json!(401)));
        assert_eq!(
            (&line["details"]["port"], &line["request_id"]),
            (&json!("private"), &json!("knocks"))
        );
    }
    let suppressed = events(&lines, "denied.suppressed");
    assert_eq!(
        (suppressed.len(), &suppressed[0]["details"]["requests"]),
        (1, &json!("20")),
        "{text}"
    );
}
