//! `deploy/configs`: five masters by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use control::conformance::Port;
use futures::future::join_all;
use master::Settings;
use settings::Sources;

use crate::support::{Masters, put};

fn file(at: usize) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../deploy/configs/node{at}.yaml"))
}

fn load(at: usize, flags: &[(&str, String)]) -> Settings {
    let sources = Sources {
        file: Some(file(at)),
        environment: BTreeMap::new(),
        flags: flags
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    };
    settings::load(&sources).unwrap()
}

#[test]
fn files_describe_one_cluster_without_a_clash() {
    let all: Vec<Settings> = (1..=5).map(|at| load(at, &[])).collect();
    let ports: BTreeSet<u16> = all.iter().flat_map(|one| [one.port, one.internal_port]).collect();
    let directories: BTreeSet<&PathBuf> = all.iter().map(|one| &one.raft_dir).collect();
    assert_eq!((ports.len(), directories.len()), (10, 5));
    for one in &all {
        let initial = one.initial_cluster().unwrap();
        assert_eq!(initial, all[0].initial_cluster().unwrap());
        let own = initial.iter().find(|member| member.name == one.node_id).unwrap();
        assert_eq!(own.address, format!("{}:{}", one.advertise_addr, one.internal_port));
        assert!(one.bind.is_loopback() && one.cluster_token == all[0].cluster_token);
    }
}

/// On other ports and directories than the files say, since a test may not take those.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_masters_start_from_the_files_and_outlive_two() {
    let directory = tempfile::tempdir().unwrap();
    let ports: Vec<Port> = (0..5).map(|_| Port::reserve()).collect();
    let initial: Vec<String> = (1..=5).map(|at| format!("node{at}={}", ports[at - 1].address())).collect();
    let settings = (1..=5).map(|at| {
        let raft_dir = directory.path().join(format!("node{at}"));
        load(
            at,
            &[
                ("port", "0".to_owned()),
                ("internal_port", ports[at - 1].number().to_string()),
                ("raft_dir", raft_dir.display().to_string()),
                ("raft_initial_cluster", initial.join(",")),
            ],
        )
    });
    let mut handles = Vec::new();
    for started in join_all(settings.map(master::start)).await {
        handles.push(started.unwrap());
    }
    let masters = Masters::of(0);
    let get = |at: usize, path: &'static str| masters.send(masters.peers.get(&handles[at].public().to_string(), path));
    masters
        .until("five voters", async || {
            let Ok((_, status)) = get(4, "/cluster/status").await else {
                return false;
            };
            status["quorum"] == true && status["members"].as_array().is_some_and(|members| members.len() == 5)
        })
        .await;
    let write = put(&masters.peers, &handles[3].public().to_string(), "/kv/k", "v");
    assert_eq!(masters.send(write).await.unwrap().0, 201);
    let survivors = handles.split_off(2);
    join_all(handles.into_iter().map(master::Handle::stop)).await;
    for handle in &survivors {
        let address = handle.public().to_string();
        masters
            .until("the others to serve", async || {
                masters.send(masters.peers.get(&address, "/kv/k")).await.is_ok()
            })
            .await;
        assert_eq!(
            masters.send(put(&masters.peers, &address, "/kv/k", "w")).await.unwrap().0,
            200
        );
    }
    join_all(survivors.into_iter().map(master::Handle::stop)).await;
}
