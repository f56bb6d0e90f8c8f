//! Masters that die: one of three, and all of them.

use std::time::Duration;

use system_tests::Sandbox;

use super::{Fault, Limits, rounds};

const BACK: Duration = Duration::from_secs(60);

/// The front door finds out that a master is gone by asking it; a request that was under way there is lost with it.
const ONE_MASTER: Limits = Limits {
    reads: Duration::from_secs(2),
    writes: Duration::from_secs(3),
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_master_interrupts_nobody_whether_it_leads_or_not() {
    let mut stack = Sandbox::etcd(1).workers(0).start().await;
    let fault = Fault::begin("kill -9 of a master, the leader too (of three, behind NGINX)", &stack).await;
    for _ in 0..rounds() {
        let leader = stack.leader(Duration::from_secs(20)).await;
        for killed in [(leader + 1) % 3, leader] {
            stack.masters[killed].kill();
            fault.lasts(Duration::from_secs(3)).await;
            stack.masters[killed].start();
            stack.masters[killed].ready(BACK).await;
        }
    }
    fault.end(&mut stack, &[0, 1, 2], ONE_MASTER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_masters_restarted_find_the_cache_as_it_was() {
    let mut stack = Sandbox::etcd(1).workers(0).start().await;
    let fault = Fault::begin("kill -9 of all three masters, back at once", &stack).await;
    for _ in 0..rounds() {
        for master in &mut stack.masters {
            master.kill();
        }
        for master in &mut stack.masters {
            master.start();
        }
        for master in &mut stack.masters {
            master.ready(BACK).await;
        }
        fault.lasts(Duration::from_secs(2)).await;
    }
    fault.end_of_all(&mut stack, &[0, 1, 2], None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_master_restarted_finds_the_cache_as_it_was() {
    let mut stack = Sandbox::raft().workers(0).start().await;
    let fault = Fault::begin("kill -9 of the only master (built-in control store), back at once", &stack).await;
    for _ in 0..rounds() {
        stack.masters[0].kill();
        stack.masters[0].start();
        stack.masters[0].ready(BACK).await;
        fault.lasts(Duration::from_secs(2)).await;
    }
    fault.end_of_all(&mut stack, &[0, 1, 2], None).await;
}
