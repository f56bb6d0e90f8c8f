//! Nodes that do not reach each other, while everybody else reaches both.

use std::time::Duration;

use system_tests::Sandbox;
use system_tests::network::{Network, Place};

use super::{Fault, Limits, rounds};

/// Time for the leader to take one of the two out of the ring, and for it to be back.
const CHANGED: Duration = Duration::from_secs(30);
/// How long nodes stay parted.
const PARTED: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_parted_auxiliaries_leaves_the_ring_and_returns() {
    if Network::is_left_out() {
        return;
    }
    let mut stack = Sandbox::etcd(1).workers(0).apart().start().await;
    let fault = Fault::begin("two auxiliaries parted for 8 s", &stack).await;
    for _ in 0..rounds() {
        let before = stack.epoch().await;
        let parted = (place(&stack.auxiliaries[0]), place(&stack.auxiliaries[1]));
        let between = parted_for(&stack, &fault, &parted, before, &[&[0, 2], &[1, 2]]).await;
        stack.settled(&[0, 1, 2], between, CHANGED).await;
    }
    fault.end(&mut stack, &[0, 1, 2], Limits::ONE_NODE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auxiliary_that_one_master_does_not_reach_leaves_the_ring_and_returns() {
    if Network::is_left_out() {
        return;
    }
    let mut stack = Sandbox::etcd(1).workers(0).apart().start().await;
    let fault = Fault::begin("a master and an auxiliary parted for 8 s", &stack).await;
    for round in 0..rounds() {
        let before = stack.epoch().await;
        let leader = stack.leader(Duration::from_secs(20)).await;
        let master = (leader + 1 + round) % 3;
        let parted = (place(&stack.masters[master]), place(&stack.auxiliaries[2]));
        let between = parted_for(&stack, &fault, &parted, before, &[&[0, 1]]).await;
        stack.settled(&[0, 1, 2], between, CHANGED).await;
    }
    fault.end(&mut stack, &[0, 1, 2], Limits::ONE_NODE).await;
}

/// Parts two nodes for a while, in which the ring becomes one of these; gives its epoch.
async fn parted_for(stack: &Sandbox, fault: &Fault, parted: &(Place, Place), before: u64, rings: &[&[usize]]) -> u64 {
    let network = stack.network.as_ref().unwrap();
    network.part(&parted.0, &parted.1);
    let began = fault.now();
    let rings = rings.iter().map(|ring| Box::pin(stack.settled(ring, before, CHANGED)));
    let (epoch, _, _) = futures::future::select_all(rings).await;
    fault.lasts(PARTED.saturating_sub(fault.now() - began)).await;
    network.join();
    epoch
}

fn place(node: &system_tests::Node) -> Place {
    node.place().expect("it has a namespace of its own")
}
