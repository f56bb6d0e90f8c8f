//! The key-value store under faults: each test is one short history, which must be linearizable, and whose watches must be
//! whole. `make soak-kv` runs hundreds of longer ones. `ELASTICORE_SEED=n` repeats the choices of a run.

use std::time::Duration;

use system_tests::network::Network;
use system_tests::soak::{Engine, Fault, Plan, run};

const TIME: Duration = Duration::from_secs(10);

async fn history(engine: Engine, fault: Fault) {
    if fault.parts(engine) && Network::is_left_out() {
        return;
    }
    let seed = std::env::var("ELASTICORE_SEED").map_or_else(|_| fastrand::u64(..1 << 32), |text| text.parse().unwrap());
    println!("ELASTICORE_SEED={seed}");
    let plan = Plan {
        engine,
        masters: 3,
        fault,
        seed,
        time: TIME,
    };
    let directory = std::env::temp_dir();
    let done = run(plan, &directory).await;
    println!("{}longest outage {:?}", done.judgement, done.outage);
    assert_eq!(done.troubles, Vec::<String>::new());
    assert!(done.is_good(), "the record: {}", done.file.display());
    assert!(done.judgement.counts.ok > 300, "hardly anything was executed");
    std::fs::remove_file(done.file).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_linearizable_while_raft_masters_are_killed() {
    history(Engine::Raft, Fault::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_linearizable_while_raft_masters_are_stopped() {
    history(Engine::Raft, Fault::Pause).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_linearizable_while_the_raft_leader_is_cut_off() {
    history(Engine::Raft, Fault::Minority).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_linearizable_while_raft_masters_hear_of_one_side_only() {
    history(Engine::Raft, Fault::OneWay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_linearizable_while_raft_masters_come_and_go() {
    history(Engine::Raft, Fault::Members).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_linearizable_while_etcd_servers_are_killed() {
    history(Engine::Etcd, Fault::Etcd).await;
}
