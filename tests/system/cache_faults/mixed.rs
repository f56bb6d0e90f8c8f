//! Faults of all kinds in a random order, one after another.

use std::time::Duration;

use fastrand::Rng;
use system_tests::Sandbox;

use super::{Fault, Limits, rounds};

/// Faults in a round.
const FAULTS: usize = 4;
/// Time for the ring to be stable again after each.
const CHANGED: Duration = Duration::from_secs(60);
/// A client may wait for a master that sleeps, and then for an auxiliary.
const PATIENCE: Limits = Limits {
    reads: Duration::from_secs(6),
    writes: Duration::from_secs(12),
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_all_kinds_in_a_row_lose_nothing() {
    let mut stack = Sandbox::etcd(1).workers(0).start().await;
    let faults = FAULTS * rounds();
    let fault = Fault::begin(&format!("{faults} faults of random kinds in a row"), &stack).await;
    let mut rng = Rng::with_seed(fault.seed());
    for _ in 0..faults {
        inflict(&mut stack, &fault, &mut rng).await;
        stack.settled(&[0, 1, 2], 0, CHANGED).await;
        fault.lasts(Duration::from_millis(500)).await;
    }
    fault.end(&mut stack, &[0, 1, 2], PATIENCE).await;
}

async fn inflict(stack: &mut Sandbox, fault: &Fault, rng: &mut Rng) {
    let node = rng.usize(..3);
    let pause = Duration::from_millis(rng.u64(100..4_000));
    match rng.u8(..5) {
        0 | 1 => {
            println!("kill -9 of auxiliary-{}, back after {pause:?}", node + 1);
            let before = stack.epoch().await;
            stack.auxiliaries[node].kill();
            fault.lasts(pause).await;
            stack.auxiliaries[node].start();
            stack.auxiliaries[node].ready(CHANGED).await;
            stack.settled(&[0, 1, 2], before, CHANGED).await;
        }
        2 => {
            println!("SIGSTOP of auxiliary-{} for {pause:?}", node + 1);
            stack.auxiliaries[node].pause();
            fault.lasts(pause).await;
            stack.auxiliaries[node].resume();
        }
        3 => {
            println!("kill -9 of master-{}, back after {pause:?}", node + 1);
            stack.masters[node].kill();
            fault.lasts(pause).await;
            stack.masters[node].start();
            stack.masters[node].ready(CHANGED).await;
        }
        _ => {
            println!("SIGSTOP of master-{} for {pause:?}", node + 1);
            stack.masters[node].pause();
            fault.lasts(pause).await;
            stack.masters[node].resume();
        }
    }
}
