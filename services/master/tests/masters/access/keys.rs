//! API keys: shown once, known everywhere, and gone everywhere.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Guarded, ROOT, code};
use crate::support::refused;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_shown_once_and_kept_as_hashes() {
    let guarded = Guarded::start(1, |_| {}).await;
    let (id, text) = guarded.key(1, &["admin", "reader:team-*:cache"]).await;
    let secret = text.rsplit_once(&*id).unwrap().1;
    for path in ["/auth/keys", &format!("/auth/keys/{id}")] {
        let (_, shown) = guarded.ask(1, &text, "GET", path, None).await.unwrap();
        assert!(
            shown.to_string().contains(&id) && !shown.to_string().contains(&secret[1..20]),
            "{shown}"
        );
        assert!(!shown.to_string().contains("hash"), "{shown}");
    }
    let (_, key) = guarded.ask(1, &text, "GET", &format!("/auth/keys/{id}"), None).await.unwrap();
    assert_eq!(key["grants"], json!(["admin:*:*", "reader:team-*:cache"]));
    assert_eq!((&key["status"], &key["created_by"]), (&json!("active"), &json!("root")));
    assert!(key["last_used_at_ms"].as_u64().is_some(), "{key}");
    // Nor is it in what is kept on disk.
    guarded.masters.until("it is on disk", async || on_disk(&guarded, &id)).await;
    assert!(!on_disk(&guarded, &secret[1..20]));
    let directory = guarded.masters.directory(1);
    assert!(directory.exists());
    guarded.stop(1).await;
}

/// Whether the log or a snapshot of the control store has this text.
fn on_disk(guarded: &Guarded, text: &str) -> bool {
    let mut directories = vec![guarded.masters.directory(1)];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if let Ok(bytes) = std::fs::read(&path)
                && bytes.windows(text.len()).any(|window| window == text.as_bytes())
            {
                return true;
            }
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_holds_on_every_master_within_two_seconds() {
    revoke(Guarded::start(3, |_| {}).await).await;
}

#[cfg(feature = "etcd")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_holds_on_every_master_within_two_seconds_on_etcd_too() {
    let etcd = control::conformance::EtcdServer::start(&[]).await;
    let guarded = Guarded::start(3, |settings| {
        settings.control_store = master::ControlEngine::Etcd;
        settings.etcd_endpoints = settings::List(vec![etcd.endpoint()]);
        settings.raft_initial_cluster = settings::List::default();
    });
    revoke(guarded.await).await;
}

/// Of three masters, one takes back a key that all of them know.
async fn revoke(guarded: Guarded) {
    let (id, text) = guarded.key(3, &["reader:*:*"]).await;
    for at in 1..=3 {
        assert_eq!(guarded.status(at, &text, "GET", "/kv").await, 200);
    }
    assert_eq!(guarded.status(2, ROOT, "DELETE", &format!("/auth/keys/{id}")).await, 200);
    let revoked = Instant::now();
    for at in 1..=3 {
        let refused = async || guarded.status(at, &text, "GET", "/kv").await == 401;
        guarded.masters.until("the key to be refused", refused).await;
    }
    assert!(revoked.elapsed() < Duration::from_secs(2), "{:?}", revoked.elapsed());
    let (_, key) = guarded.ask(3, ROOT, "GET", &format!("/auth/keys/{id}"), None).await.unwrap();
    assert_eq!(key["status"], "revoked");
    // Twice is once, and what was revoked stays so.
    assert_eq!(guarded.status(1, ROOT, "DELETE", &format!("/auth/keys/{id}")).await, 200);
    assert_eq!(guarded.status(1, ROOT, "POST", &format!("/auth/keys/{id}/rotate")).await, 409);
    assert_eq!(guarded.status(1, ROOT, "DELETE", "/auth/keys/0000000000000000").await, 404);
    guarded.stop(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_with_the_key_they_were_opened_by() {
    use futures::StreamExt;
    let guarded = Guarded::start(1, |_| {}).await;
    let (id, text) = guarded.key(1, &["reader:*:kv"]).await;
    let request = guarded.request(1, &text, "GET", "/kv/_watch", None).unguarded();
    let mut stream = Box::pin(request.send().await.unwrap().stream());
    assert!(stream.next().await.unwrap().is_ok(), "it listens");
    guarded
        .ask(1, ROOT, "DELETE", &format!("/auth/keys/{id}"), None)
        .await
        .unwrap();
    let ended = async { while let Some(Ok(_)) = stream.next().await {} };
    tokio::time::timeout(Duration::from_secs(5), ended)
        .await
        .expect("the stream ends");
    guarded.stop(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_expire_and_rotate() {
    let guarded = Guarded::start(1, |_| {}).await;
    let body = json!({ "name": "short", "grants": ["reader:*:kv"], "ttl": "1" });
    let (_, made) = guarded.ask(1, ROOT, "POST", "/auth/keys", Some(&body)).await.unwrap();
    let text = made["key"].as_str().unwrap();
    assert_eq!(guarded.status(1, text, "GET", "/kv").await, 200);
    let expired = async || guarded.status(1, text, "GET", "/kv").await == 401;
    guarded.masters.until("the key to expire", expired).await;
    let told = refused(guarded.ask(1, text, "GET", "/kv", None).await).1;
    assert!(told.contains("expired"), "{told}");

    let (id, first) = guarded.key(1, &["reader:*:kv"]).await;
    let rotate = format!("/auth/keys/{id}/rotate");
    let (_, rotated) = guarded.ask(1, ROOT, "POST", &rotate, None).await.unwrap();
    let second = rotated["key"].as_str().unwrap().to_owned();
    assert!(rotated["previous_until_ms"].as_u64().is_some(), "{rotated}");
    for text in [&first, &second] {
        assert_eq!(guarded.status(1, text, "GET", "/kv").await, 200, "both work for a while");
    }
    let at_once = json!({ "grace": "0" });
    let (_, rotated) = guarded.ask(1, ROOT, "POST", &rotate, Some(&at_once)).await.unwrap();
    let third = rotated["key"].as_str().unwrap().to_owned();
    let statuses = [&first, &second, &third].map(|text| guarded.status(1, text, "GET", "/kv"));
    assert_eq!(futures::future::join_all(statuses).await, [401, 401, 200]);
    guarded.stop(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_key_is_made_by_the_cluster_token_and_only_once() {
    let guarded = Guarded::start(1, |_| {}).await;
    assert_eq!(guarded.status(1, ROOT, "POST", "/auth/init").await, 401, "it is for nodes");
    // This client is a node.
    let (status, first) = guarded.masters.post(1, "/auth/init", &json!({})).await.unwrap();
    assert_eq!((status, &first["grants"]), (201, &json!(["admin:*:*"])), "{first}");
    let key = first["key"].as_str().unwrap();
    assert_eq!(guarded.status(1, key, "GET", "/auth/keys").await, 200);
    assert_eq!(code(&guarded.masters.post(1, "/auth/init", &json!({})).await), 409);
    guarded.stop(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_survive_a_restart_and_wrong_wishes_are_refused() {
    let mut guarded = Guarded::start(1, |_| {}).await;
    let (_, text) = guarded.key(1, &["writer:team-*:kv"]).await;
    guarded.masters.stop(&[1]).await;
    guarded.masters.start_all(&[1]).await;
    let knows = async || guarded.status(1, &text, "GET", "/auth/whoami").await == 200;
    guarded.masters.until("the key to be known again", knows).await;
    let (_, me) = guarded.ask(1, &text, "GET", "/auth/whoami", None).await.unwrap();
    assert_eq!(
        (&me["auth"], &me["kind"], &me["grants"]),
        (&json!("on"), &json!("key"), &json!(["writer:team-*:kv"]))
    );
    for (wrong, said) in [
        (json!({ "name": "", "grants": ["admin"] }), "name must be"),
        (json!({ "name": "x", "grants": [] }), "there are 0 grants"),
        (json!({ "name": "x", "grants": ["root"] }), "is no grant"),
        (json!({ "name": "x", "grants": ["admin"], "ttl": "-1" }), "ttl"),
        (json!({ "name": "x", "grants": ["admin"], "secret": "mine" }), "unknown field"),
    ] {
        let (_, told) = refused(guarded.ask(1, ROOT, "POST", "/auth/keys", Some(&wrong)).await);
        assert!(told.contains(said), "{wrong}: {told}");
    }
    guarded.stop(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn masters_without_authentication_say_so_and_make_no_keys() {
    let mut masters = crate::support::Masters::start(1).await;
    let (_, me) = masters.get(1, "/auth/whoami").await.unwrap();
    assert_eq!((&me["auth"], &me["kind"]), (&json!("off"), &json!("anonymous")), "{me}");
    let body = json!({ "name": "planted", "grants": ["admin"] });
    assert_eq!(code(&masters.post(1, "/auth/keys", &body).await), 409);
    assert_eq!(code(&masters.post(1, "/auth/init", &json!({})).await), 409);
    masters.stop(&[1]).await;
}
