//! One live process per `NODE_ID`.

use std::time::Duration;

use api::member::Role;
use system_tests::{Node, Sandbox};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_node_with_the_same_id_is_refused_with_a_clear_message() {
    let mut stack = Sandbox::etcd(1).auxiliaries(1).workers(1).start().await;
    let elsewhere = stack.directory().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let door = stack.address();
    let endpoint = format!("http://{}", stack.etcd.as_ref().unwrap().endpoints()[0]);
    let firsts = [
        stack.masters[0].private_address(),
        stack.auxiliaries[0].private_address(),
        stack.workers[0].private_address(),
    ];
    let mut seconds: Vec<_> = [Role::Master, Role::Auxiliary, Role::Worker]
        .map(|role| {
            let mut second = Node::new(role, 1, &stack.token, &elsewhere);
            second.set("CONTROL_STORE", "etcd");
            second.set("ETCD_ENDPOINTS", &endpoint);
            second.set("MASTER_ADDRESS", &door);
            second.set("DATA_DIRS", &elsewhere.display().to_string());
            second.start();
            second
        })
        .into();
    for (second, first) in seconds.iter_mut().zip(&firsts) {
        // Twice the lease: an earlier life of a node that moved would have expired by then.
        let status = second.process().exit(Duration::from_secs(45)).await;
        assert_eq!(status.code(), Some(1), "{}", second.log());
        let log = second.log();
        let told = log.lines().filter(|line| line.starts_with("elasticore-")).collect::<Vec<_>>();
        let clear = |line: &&str| line.contains("NODE_ID") && line.contains(second.name()) && line.contains(first.as_str());
        assert!(told.len() == 1 && told.iter().all(clear), "{log}");
    }
    // The first ones never noticed.
    for node in stack.nodes() {
        node.ready(Duration::from_secs(1)).await;
    }
    stack.ring_of(&[0], Duration::from_secs(1)).await;
    stack.api().put("/cache/k", "v").await.expect(201);
    assert_eq!(stack.panics(), Vec::<String>::new());
}
