//! Nodes that die while keys move. Range sync is slowed down, so that there is time to die in.

use std::time::Duration;

use api::member::Role;
use system_tests::Sandbox;
use system_tests::workload::Workload;

use super::{Fault, Limits};

/// Bytes that a node fetches in a second: what is to move takes it some seconds.
const SLOWLY: &str = "96KiB";
/// Keys of each client that only the sync brings to their new owners.
const COLD: u16 = 150;
const BEGUN: Duration = Duration::from_secs(15);
const CHANGED: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owner_killed_while_a_newcomer_fetches_takes_nothing_along() {
    let (mut stack, fault) = begin(Sandbox::raft(), "kill -9 of an auxiliary while another one joins").await;
    let before = stack.epoch().await;
    let newcomer = stack.add_auxiliary();
    stack.moving(before, BEGUN).await;
    fault.lasts(Duration::from_millis(500)).await;
    stack.auxiliaries[1].kill();
    let without = stack.settled(&[0, 2, newcomer], before, CHANGED).await;
    stack.auxiliaries[1].start();
    stack.settled(&[0, 1, 2, newcomer], without, CHANGED).await;
    fault.end(&mut stack, &[0, 1, 2, newcomer], Limits::ONE_NODE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newcomer_killed_while_it_fetches_leaves_all_as_it_was() {
    let (mut stack, fault) = begin(Sandbox::raft(), "kill -9 of an auxiliary that joins").await;
    let before = stack.epoch().await;
    let newcomer = stack.add_auxiliary();
    stack.moving(before, BEGUN).await;
    fault.lasts(Duration::from_millis(500)).await;
    stack.auxiliaries[newcomer].kill();
    stack.settled(&[0, 1, 2], before, CHANGED).await;
    fault.end(&mut stack, &[0, 1, 2], Limits::ONE_NODE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_leader_ends_the_move_that_a_killed_one_began() {
    let (mut stack, fault) = begin(Sandbox::etcd(1), "kill -9 of the leader while an auxiliary joins").await;
    let leader = stack.leader(BEGUN).await;
    let before = stack.epoch().await;
    let newcomer = stack.add_auxiliary();
    stack.moving(before, BEGUN).await;
    stack.masters[leader].kill();
    stack.settled(&[0, 1, 2, newcomer], before, CHANGED).await;
    stack.masters[leader].start();
    stack.masters[leader].ready(CHANGED).await;
    fault.end(&mut stack, &[0, 1, 2, newcomer], Limits::ONE_NODE).await;
}

async fn begin(builder: system_tests::Builder, name: &str) -> (Sandbox, Fault) {
    let builder = builder.workers(0).set(Role::Auxiliary, "SYNC_BYTES_PER_SECOND", SLOWLY);
    let stack = builder.start().await;
    let load = Workload::through(&stack.doors()).cold(COLD);
    let fault = Fault::begin_with(name, &stack, load).await;
    (stack, fault)
}
