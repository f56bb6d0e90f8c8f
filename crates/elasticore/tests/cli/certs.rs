//! Certificates made by the command line: files, modes, and what is refused.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Ended, run};

/// Nobody is asked.
const NOBODY: &str = "http://127.0.0.1:1";

async fn certs(directory: &TempDir, arguments: &[&str]) -> Ended {
    let dir = directory.path().join("certs");
    let mut all = vec!["--output", "json", "certs"];
    all.extend(arguments);
    all.extend(["--dir", dir.to_str().unwrap()]);
    run(NOBODY, &all).await
}

async fn made(directory: &TempDir, arguments: &[&str]) -> Vec<Value> {
    let ended = certs(directory, arguments).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let answer: Value = serde_json::from_str(ended.text()).unwrap();
    answer["certificates"].as_array().unwrap().clone()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn cluster_gets_an_authority_and_certificates_that_nodes_can_use() {
    let directory = tempfile::tempdir().unwrap();
    let nodes = [
        "--node",
        "master-1=master-1,127.0.0.1",
        "--node",
        "worker-1=worker-1",
        "--client",
        "prometheus",
    ];
    let all = made(&directory, &[&["init"][..], &nodes, &["--valid-for", "10d"]].concat()).await;
    assert_eq!(all.len(), 3, "{all:?}");
    assert_eq!(all[0]["hosts"], serde_json::json!(["master-1", "127.0.0.1"]));
    assert_eq!((&all[0]["days_left"], &all[2]["hosts"]), (&9.into(), &serde_json::json!([])));

    let certs_dir = directory.path().join("certs");
    let files = tls::Files {
        certificate: certs_dir.join("master-1.pem"),
        key: certs_dir.join("master-1.key"),
        authorities: certs_dir.join("ca.pem"),
    };
    tls::Identity::load(&files).unwrap().check_host("master-1").unwrap();
    for private in ["master-1.key", "prometheus.key", "authority/ca.key"] {
        assert_eq!(mode(&certs_dir.join(private)), 0o600, "{private}");
    }
    assert_eq!(mode(&certs_dir.join("authority")), 0o700);
    assert!(!certs_dir.join("ca.key").exists(), "the authority's key is kept apart");
}

#[tokio::test]
async fn nothing_is_overwritten_and_wrong_names_leave_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    for wrong in [
        &["--node", "a=not a host"][..],
        &["--node", "../a=a"],
        &["--node", "ca=a"],
        &["--node", "a=a", "--client", "a"],
    ] {
        let refused = certs(&directory, &[&["init"][..], wrong].concat()).await;
        assert_eq!(refused.code, 2, "{wrong:?}: {}", refused.stderr);
        assert!(!directory.path().join("certs").exists(), "{wrong:?}");
    }
    made(&directory, &["init", "--node", "a=a"]).await;
    let key = std::fs::read(directory.path().join("certs/a.key")).unwrap();
    for again in [&["init", "--node", "b=b"][..], &["add", "--node", "a=a"], &["add"]] {
        let refused = certs(&directory, again).await;
        assert_eq!(refused.code, 2, "{again:?}: {}", refused.stderr);
    }
    assert_eq!(std::fs::read(directory.path().join("certs/a.key")).unwrap(), key);
    assert_eq!(made(&directory, &["add", "--node", "b=b"]).await.len(), 1);
}

#[tokio::test]
async fn what_ends_soon_is_renewed_for_the_same_names_and_the_rest_is_left() {
    let directory = tempfile::tempdir().unwrap();
    made(
        &directory,
        &["init", "--node", "soon=a,10.0.0.1", "--client", "reader", "--valid-for", "5d"],
    )
    .await;
    made(&directory, &["add", "--node", "late=b"]).await;
    let renewed = made(&directory, &["renew"]).await;
    let names: Vec<&str> = renewed.iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["reader", "soon"]);
    assert_eq!(renewed[1]["hosts"], serde_json::json!(["a", "10.0.0.1"]));
    assert_eq!(made(&directory, &["renew"]).await.len(), 0);
    assert_eq!(made(&directory, &["renew", "late"]).await.len(), 1);
    let unknown = certs(&directory, &["renew", "nobody"]).await;
    assert!(
        unknown.code == 2 && unknown.stderr.contains("no certificate of nobody"),
        "{}",
        unknown.stderr
    );
}

#[tokio::test]
async fn authority_is_replaced_in_three_steps() {
    let directory = tempfile::tempdir().unwrap();
    made(&directory, &["init", "--node", "a=a"]).await;
    assert_eq!(made(&directory, &["rotate"]).await.len(), 2, "both are trusted");
    let early = certs(&directory, &["retire"]).await;
    assert!(early.code == 2 && early.stderr.contains("of a are still"), "{}", early.stderr);
    made(&directory, &["renew", "--all"]).await;
    assert_eq!(made(&directory, &["retire"]).await.len(), 1);
    let all = made(&directory, &["show"]).await;
    assert_eq!(all.len(), 2);
    assert_eq!(all[1]["signed_by"], all[0]["name"]);
}
