//! Auxiliaries that die, one at a time.

use std::time::Duration;

use system_tests::Sandbox;

use super::{Fault, Limits, rounds};

/// Time for a killed node to be out of the ring: 2 s by design, and the move of its keys on a busy machine.
const REMOVED: Duration = Duration::from_secs(15);
/// Time for a node to start, sync and be a stable member.
const BACK: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_auxiliary_takes_no_acknowledged_entry_along() {
    let mut stack = Sandbox::raft().workers(0).start().await;
    let fault = Fault::begin("kill -9 of one auxiliary, back after 5 s", &stack).await;
    for _ in 0..rounds() {
        let (killed, others) = ([1], [0, 2]);
        let before = stack.epoch().await;
        stack.auxiliaries[killed[0]].kill();
        let between = stack.settled(&others, before, REMOVED).await;
        fault.lasts(Duration::from_secs(5)).await;
        stack.auxiliaries[killed[0]].start();
        stack.settled(&[0, 1, 2], between, BACK).await;
    }
    fault.end(&mut stack, &[0, 1, 2], Limits::ONE_NODE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_auxiliaries_killed_one_after_another_lose_nothing() {
    let mut stack = Sandbox::etcd(1).workers(0).start().await;
    let fault = Fault::begin("kill -9 of every auxiliary in turn, the next when the ring is stable", &stack).await;
    for _ in 0..rounds() {
        for killed in 0..3 {
            let others: Vec<_> = (0..3).filter(|other| *other != killed).collect();
            let before = stack.epoch().await;
            stack.auxiliaries[killed].kill();
            let between = stack.settled(&others, before, REMOVED).await;
            stack.auxiliaries[killed].start();
            stack.settled(&[0, 1, 2], between, BACK).await;
        }
    }
    fault.end(&mut stack, &[0, 1, 2], Limits::ONE_NODE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auxiliary_back_at_once_is_another_life_that_holds_nothing_yet() {
    let mut stack = Sandbox::raft().workers(0).start().await;
    let fault = Fault::begin("kill -9 of every auxiliary in turn, each back within 2 s", &stack).await;
    for _ in 0..rounds() {
        for (killed, pause) in [(0, 0), (1, 400), (2, 1_200)] {
            let before = stack.epoch().await;
            stack.auxiliaries[killed].kill();
            fault.lasts(Duration::from_millis(pause)).await;
            stack.auxiliaries[killed].start();
            stack.auxiliaries[killed].ready(BACK).await;
            // Its old life leaves the ring and the new one enters it: at once, or one after the other.
            stack.settled(&[0, 1, 2], before, BACK).await;
        }
    }
    fault.end(&mut stack, &[0, 1, 2], Limits::ONE_NODE).await;
}
