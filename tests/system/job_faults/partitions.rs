//! Nodes that do not reach each other while a job runs.

use std::time::Duration;

use system_tests::network::{Network, Place};
use system_tests::{Node, Sandbox};

use super::work::{in_map, in_reduce, orders, right, slow_map, slow_map_answer, slow_reduce, slow_reduce_answer};

/// How long they stay parted: longer than a worker may be silent.
const PARTED: Duration = Duration::from_secs(15);

fn place(node: &Node) -> Place {
    node.place().expect("it has a namespace of its own")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_that_does_not_reach_the_leader_is_replaced_and_comes_back() {
    if Network::is_left_out() {
        return;
    }
    let mut stack = Sandbox::etcd(1).auxiliaries(1).apart().start().await;
    let (api, orders) = (stack.api(), orders(&stack));
    let id = api.submit(&slow_map(&orders)).await;
    in_map(&api, &id).await;
    let leader = stack.leader(Duration::from_secs(20)).await;
    let network = stack.network.as_ref().unwrap();
    network.part(&place(&stack.masters[leader]), &place(&stack.workers[0]));
    right(&api, &id, &slow_map_answer(&orders)).await;
    network.join();
    let again = api.submit(&slow_map(&orders)).await;
    right(&api, &again, &slow_map_answer(&orders)).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_do_not_reach_each_other_read_no_shuffle_and_the_job_ends_all_the_same() {
    if Network::is_left_out() {
        return;
    }
    let mut stack = Sandbox::etcd(1).auxiliaries(1).apart().start().await;
    let (api, orders) = (stack.api(), orders(&stack));
    let id = api.submit(&slow_reduce(&orders)).await;
    in_reduce(&api, &id).await;
    let network = stack.network.as_ref().unwrap();
    network.part(&place(&stack.workers[0]), &place(&stack.workers[1]));
    tokio::time::sleep(PARTED).await;
    network.join();
    right(&api, &id, &slow_reduce_answer(&orders)).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}
