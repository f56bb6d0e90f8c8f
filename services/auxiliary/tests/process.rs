//! The binary: it says in one line what is wrong, and stops when asked to.

mod support;

use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use support::{Cluster, TOKEN, get, put};
use tokio::net::TcpListener;
use tokio::process::Command;
use transport::server::{HttpMetrics, Layers, serve};

fn binary(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elasticore-auxiliary"));
    command
        .env_clear()
        .envs(settings.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn fails(settings: &[(&str, &str)]) -> String {
    let Output { status, stderr, .. } = binary(settings).output().await.expect("runs");
    assert!(!status.success());
    let text = String::from_utf8(stderr).expect("text");
    text.lines().last().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_is_wrong_is_said_in_one_line() {
    let directory = tempfile::TempDir::new().expect("scratch directory");
    let free = directory.path().join("free");
    let file = directory.path().join("file");
    std::fs::write(&file, "no directory").expect("write");
    let taken = TcpListener::bind("0.0.0.0:0").await.expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let backups = directory.path().join("backups");
    let (free, file) = (free.to_str().expect("utf-8"), file.to_str().expect("utf-8"));
    let backups = backups.to_str().expect("utf-8");
    let common = [("CLUSTER_TOKEN", "t"), ("MASTERS", "127.0.0.1:1")];
    let with = |more: &[(&'static str, &str)]| -> Vec<(String, String)> {
        common
            .iter()
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    for (settings, expected) in [
        (vec![("CLUSTER_TOKEN".to_owned(), "t".to_owned())], "MASTER_ADDRESS"),
        (
            with(&[("PORT", &port), ("BLOB_DIR", free), ("BACKUP_DIR", backups)]),
            "is taken",
        ),
        (
            with(&[("PORT", "0"), ("BLOB_DIR", file), ("BACKUP_DIR", backups)]),
            "BLOB_DIR",
        ),
        (with(&[("PORT", "0"), ("BLOB_DIR", free), ("BACKUP_DIR", file)]), "BACKUP_DIR"),
        (with(&[("CACHE_SIZE", "0")]), "CACHE_SIZE"),
    ] {
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let line = fails(&settings).await;
        assert!(line.contains(expected), "{line:?} does not mention {expected}");
    }
}

#[tokio::test]
async fn it_joins_through_a_master_and_leaves_at_sigterm() {
    let cluster = Cluster::start().await;
    let master = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = master.local_addr().expect("bound").to_string();
    let layers = Layers::new(
        HttpMetrics::new(&telemetry::new_registry()),
        Duration::from_secs(60),
        1 << 20,
        100,
    );
    let router = layers
        .private(TOKEN)
        .around(axum::Router::new().nest("/internal/v1/control", control::server::router(Arc::clone(&cluster.store))));
    let stop = lifecycle::CancellationToken::new();
    tokio::spawn(serve(master, router, stop.clone()));

    let (directory, backups) = (
        cluster.directory.path().join("binary"),
        cluster.directory.path().join("backups"),
    );
    let settings = [
        ("NODE_ID", "a"),
        ("PORT", "0"),
        ("BIND", "127.0.0.1"),
        ("CLUSTER_TOKEN", TOKEN),
        ("MASTERS", &address),
        ("BLOB_DIR", directory.to_str().expect("utf-8")),
        ("BACKUP_DIR", backups.to_str().expect("utf-8")),
    ];
    let mut child = binary(&settings).stderr(Stdio::inherit()).spawn().expect("starts");
    cluster.in_ring("a", true).await;
    cluster.batch("a", vec![put("k", b"v", 1), get("k")]).await;

    let pid = child.id().expect("running").to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .expect("kill")
            .success()
    );
    let began = std::time::Instant::now();
    let status = tokio::time::timeout(Duration::from_secs(15), child.wait())
        .await
        .expect("it stops")
        .expect("status");
    assert!(status.success(), "{status}");
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    let id = api::NodeId::try_new("a").expect("valid");
    let left = cluster
        .view
        .wait_for(|snapshot| snapshot.member(api::member::Role::Auxiliary, &id).is_none());
    tokio::time::timeout(Duration::from_secs(3), left)
        .await
        .expect("it left the cluster");
    stop.cancel();
    cluster.stop().await;
}
