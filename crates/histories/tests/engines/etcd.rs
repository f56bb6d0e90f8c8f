//! Real etcd, one server and three of them with one killed.

use std::sync::Arc;
use std::time::Duration;

use control::conformance::{EtcdCluster, EtcdServer};
use control::etcd::{EtcdOptions, EtcdStore};
use histories::target::{StoreTarget, Target};

use crate::{assert_linearizable, run};

async fn target(name: &str, endpoints: Vec<String>) -> Arc<dyn Target> {
    let store = EtcdStore::connect(EtcdOptions::new(endpoints))
        .await
        .expect("the addresses are valid");
    Arc::new(StoreTarget::new(name, Arc::new(store)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_the_etcd_engine_are_linearizable() {
    let server = EtcdServer::start(&[]).await;
    let targets = [target("etcd", vec![server.endpoint()]).await];
    let history = run("etcd engine, one server", &targets, Duration::from_secs(5), async {}).await;
    assert_linearizable(&history);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_the_etcd_engine_are_linearizable_while_a_member_is_killed_and_paused() {
    let mut cluster = EtcdCluster::start(3).await;
    let mut targets = Vec::new();
    for (number, endpoint) in (1..).zip(cluster.endpoints()) {
        targets.push(target(&format!("etcd-{number}"), vec![endpoint]).await);
    }
    let faults = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cluster.members[0].kill();
        tokio::time::sleep(Duration::from_secs(2)).await;
        cluster.members[0].restart().await;
        cluster.members[1].pause();
        tokio::time::sleep(Duration::from_secs(2)).await;
        cluster.members[1].resume();
    };
    let history = run(
        "etcd engine, a member killed, another paused",
        &targets,
        Duration::from_secs(6),
        faults,
    )
    .await;
    assert_linearizable(&history);
}
