//! JSON Web Tokens by a key set in a file, which changes while the masters run.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::Guarded;
use crate::support::refused;

/// A key pair out of a seed (RFC 8410).
fn pair(seed: u8) -> EncodingKey {
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend([seed; 32]);
    EncodingKey::from_ed_der(&der)
}

/// A set of public keys.
fn set(seeds: &[u8]) -> String {
    let keys = seeds.iter().map(|seed| {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&pair(*seed), Algorithm::EdDSA).unwrap()).unwrap();
        jwk["kid"] = format!("key-{seed}").into();
        jwk
    });
    json!({ "keys": keys.collect::<Vec<Value>>() }).to_string()
}

fn token(seed: u8, grants: &[&str], lives: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(format!("key-{seed}"));
    let claims = json!({
        "sub": "somebody", "aud": "these-masters", "exp": now.saturating_add_signed(lives), "elasticore": grants,
    });
    encode(&header, &claims, &pair(seed)).unwrap()
}

/// As who deploys keys does it: never half of a file.
fn write(path: &PathBuf, set: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, set).unwrap();
    std::fs::rename(beside, path).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_accepted_while_their_key_is_in_the_set() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    write(&path, &set(&[1]));
    let guarded = Guarded::start(1, |settings| {
        settings.auth_jwks = path.to_str().unwrap().to_owned();
        settings.auth_audience = "these-masters".to_owned();
    })
    .await;
    let (old, new) = (token(1, &["reader:a:kv"], 600), token(2, &["reader:a:kv"], 600));
    let accepts = async |token: &str| guarded.status(1, token, "GET", "/auth/whoami").await == 200;
    guarded
        .masters
        .until("the set to be read", async || accepts(&old).await)
        .await;
    let (_, me) = guarded.ask(1, &old, "GET", "/auth/whoami", None).await.unwrap();
    assert_eq!(
        (&me["kind"], &me["id"], &me["grants"]),
        (&json!("token"), &json!("somebody"), &json!(["reader:a:kv"]))
    );
    assert_eq!(guarded.status(1, &old, "PUT", "/kv/x?ns=a").await, 403);
    assert!(!accepts(&token(1, &["admin"], -60)).await, "it has expired");
    let told = refused(guarded.ask(1, &new, "GET", "/auth/whoami", None).await).1;
    assert!(told.contains("key-2"), "{told}");

    // Both for a while, then the new one alone; what was remembered counts no more.
    write(&path, &set(&[1, 2]));
    guarded.masters.until("the new key", async || accepts(&new).await).await;
    assert!(accepts(&old).await);
    write(&path, &set(&[2]));
    guarded
        .masters
        .until("the old key to be gone", async || !accepts(&old).await)
        .await;
    // A broken file changes nothing.
    write(&path, "{ \"keys\": [");
    write(&directory.path().join("other"), "");
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert!(accepts(&new).await && !accepts(&old).await);
    guarded.stop(1).await;
}
