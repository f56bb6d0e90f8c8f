//! An auxiliary that falls asleep with its connections open.

use std::time::Duration;

use system_tests::Sandbox;

use super::{Fault, Limits, rounds};

/// Longer than it takes to be removed, about as long as a lease lives.
const ASLEEP: Duration = Duration::from_secs(10);
/// Time for a sleeping node to be out of the ring, and for one that woke up to be in it again.
const CHANGED: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auxiliary_asleep_for_ten_seconds_wakes_up_to_a_ring_without_it() {
    let mut stack = Sandbox::raft().workers(0).start().await;
    let fault = Fault::begin("SIGSTOP of an auxiliary for 10 s", &stack).await;
    for round in 0..rounds() {
        let asleep = round % 3;
        let others: Vec<_> = (0..3).filter(|other| *other != asleep).collect();
        let before = stack.epoch().await;
        stack.auxiliaries[asleep].pause();
        let began = fault.now();
        let between = stack.settled(&others, before, CHANGED).await;
        fault.lasts(ASLEEP.saturating_sub(fault.now() - began)).await;
        stack.auxiliaries[asleep].resume();
        stack.settled(&[0, 1, 2], between, CHANGED).await;
    }
    fault.end(&mut stack, &[0, 1, 2], Limits::ONE_NODE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auxiliary_asleep_for_an_instant_goes_on_where_it_stood() {
    let mut stack = Sandbox::raft().workers(0).start().await;
    let fault = Fault::begin("SIGSTOP of every auxiliary in turn for 0.7 s", &stack).await;
    for _ in 0..rounds() {
        for asleep in 0..3 {
            stack.auxiliaries[asleep].pause();
            fault.lasts(Duration::from_millis(700)).await;
            stack.auxiliaries[asleep].resume();
            fault.lasts(Duration::from_secs(1)).await;
            // Removed or not, both are right.
            stack.settled(&[0, 1, 2], 0, CHANGED).await;
        }
    }
    fault.end(&mut stack, &[0, 1, 2], Limits::ONE_NODE).await;
}
