//! `elasticore auth`, and keys on all other commands.

use serde_json::{Value, json};

use crate::fake::{Asked, Fake, Reply};
use crate::program::{command, end, run};

fn key() -> Value {
    json!({
        "id": "0123456789abcdef", "name": "ci", "grants": ["writer:team-*:cache,kv"], "status": "active", "created_by": "root",
        "created_at_ms": 1, "last_used_at_ms": 1
    })
}

fn issued() -> Value {
    let mut issued = key();
    issued["key"] = "eck_0123456789abcdef_the-secret".into();
    issued
}

#[tokio::test]
async fn keys_are_sent_by_every_command_and_never_shown() {
    let fake = Fake::always(Reply::json(200, json!({ "items": [], "revision": 1 }))).await;
    let mut by_variable = command(&fake.endpoint, &["kv", "list", "-v"]);
    by_variable.env("ELASTICORE_API_KEY", "eck_by_variable");
    let by_variable = end(by_variable.spawn().unwrap()).await;
    let by_flag = run(&fake.endpoint, &["kv", "list", "--api-key", "eck_by_flag", "-vv"]).await;
    let mut without = command(&fake.endpoint, &["kv", "list"]);
    without.env("ELASTICORE_API_KEY", "");
    let without = end(without.spawn().unwrap()).await;
    for ended in [&by_variable, &by_flag, &without] {
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(!ended.stderr.contains("eck_by"), "{}", ended.stderr);
    }
    let asked = fake.asked();
    let sent: Vec<Option<&str>> = asked.iter().map(|asked| asked.header("authorization")).collect();
    assert_eq!(sent, [Some("Bearer eck_by_variable"), Some("Bearer eck_by_flag"), None]);
}

#[tokio::test]
async fn a_new_key_alone_goes_to_standard_output() {
    let fake = Fake::always(Reply::json(201, issued())).await;
    let arguments = [
        "auth",
        "create",
        "ci",
        "--grant",
        "writer:team-*:cache,kv",
        "--grant",
        "reader:*:jobs",
        "--ttl",
        "30d",
    ];
    let ended = run(&fake.endpoint, &arguments).await;
    assert_eq!(ended.text(), "eck_0123456789abcdef_the-secret\n", "{}", ended.stderr);
    assert!(
        !ended.stderr.contains("the-secret") && ended.stderr.contains("Keep it now"),
        "{}",
        ended.stderr
    );
    let asked = fake.only();
    assert_eq!(asked.line(), "POST /auth/keys");
    let body = json!({ "name": "ci", "grants": ["writer:team-*:cache,kv", "reader:*:jobs"], "ttl": "30d" });
    assert_eq!(asked.json(), body);
}

#[tokio::test]
async fn the_first_key_wants_the_cluster_token() {
    let fake = Fake::always(Reply::json(201, issued())).await;
    let mut without = command(&fake.endpoint, &["auth", "init"]);
    without.env_remove("CLUSTER_TOKEN");
    let without = end(without.spawn().unwrap()).await;
    assert_eq!(without.code, 2, "{}", without.stderr);
    let ended = run(&fake.endpoint, &["auth", "init", "--cluster-token", "t"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let asked = fake.only();
    assert_eq!(
        (asked.line(), asked.header("x-cluster-token")),
        ("POST /auth/init".to_owned(), Some("t"))
    );
}

#[tokio::test]
async fn keys_are_listed_over_pages_rotated_and_revoked() {
    let pages = |asked: &Asked| match asked.line().as_str() {
        "GET /auth/keys?limit=1000" => Reply::json(200, json!({ "items": [key()], "next": "0123456789abcdef" })),
        "GET /auth/keys?limit=1000&after=0123456789abcdef" => Reply::json(200, json!({ "items": [key()] })),
        "POST /auth/keys/0123456789abcdef/rotate" => Reply::json(200, issued()),
        "DELETE /auth/keys/0123456789abcdef" => Reply::json(200, key()),
        other => Reply::problem(404, "not_found", other),
    };
    let fake = Fake::new(pages).await;
    let listed = run(&fake.endpoint, &["auth", "list"]).await;
    let lines: Vec<&str> = listed.text().lines().collect();
    assert_eq!(lines.len(), 3, "{}", listed.stderr);
    assert!(
        lines[1].starts_with("0123456789abcdef\tci\tactive\twriter:team-*:cache,kv\t"),
        "{}",
        lines[1]
    );
    let rotated = run(&fake.endpoint, &["auth", "rotate", "0123456789abcdef", "--grace", "0"]).await;
    assert_eq!(rotated.text(), "eck_0123456789abcdef_the-secret\n", "{}", rotated.stderr);
    assert_eq!(fake.asked().last().unwrap().json(), json!({ "grace": "0" }));
    let revoked = run(&fake.endpoint, &["auth", "revoke", "0123456789abcdef"]).await;
    assert_eq!(revoked.text(), "revoked 0123456789abcdef (ci)\n");
}

#[tokio::test]
async fn secrets_are_made_without_a_server() {
    let one = run("http://127.0.0.1:1", &["auth", "generate"]).await;
    let other = run("http://127.0.0.1:1", &["auth", "generate"]).await;
    assert_eq!((one.code, one.text().trim().len()), (0, 43), "{}", one.stderr);
    assert_ne!(one.text(), other.text());
}
