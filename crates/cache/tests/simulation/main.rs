//! The whole protocol of the cache under faults: the real masters' front, the real owners with their stores, the real range
//! sync and the real changes of the ring, in one thread, on simulated networks, clocks and control stores, driven by a seed.
//!
//! What must hold is in `model` and `checks`. One exception: a read is answered late in the sense of an older value when the
//! auxiliary that answers has been put out of the ring but lives, and neither it nor the master that asks has heard of that
//! (a link is cut, or a node is stopped). It lasts as long as the news takes to one of the two; writes are never
//! acknowledged that way, for the other owners refuse them.
//!
//! `CACHE_SIM_SEED=7` runs one seed and tells what happens (with `CACHE_SIM_MUTANT=IgnoresLives`, in that broken system); `CACHE_SIM_SEEDS=20000` runs so many in each test.

mod checks;
mod clients;
mod control;
mod faults;
mod freeze;
mod history;
mod hours;
mod intent;
mod leader;
mod model;
mod mutant;
mod network;
mod node;
mod random;
mod scenario;
mod spy;
mod watched;
mod world;

use mutant::Mutant;
use scenario::{Scenario, run};

/// Seeds of each test, and where the next one's begin.
const SEEDS: u64 = 260;

fn survive(scenario: Scenario, first: u64) {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("CACHE_SIM_SEED") {
        let run = run(scenario, seed, Mutant::asked_for(), true);
        assert_eq!(run.broken, None, "seed {seed}");
        return;
    }
    let (mut reads, mut excused, mut broken) = (0, 0, Vec::new());
    for seed in first..first + number("CACHE_SIM_SEEDS").unwrap_or(SEEDS) {
        let run = run(scenario, seed, Mutant::None, false);
        broken.extend(run.broken.map(|what| format!("seed {seed}: {what}")));
        reads += run.reads;
        excused += run.excused;
    }
    println!("{reads} reads, {excused} of them behind");
    assert!(
        excused * 10_000 <= reads,
        "reads may be behind only while nodes hear of a change"
    );
    if let Some(one) = broken.first() {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        let seed = one.split([' ', ':']).nth(1).unwrap_or_default();
        let replay = format!("CACHE_SIM_SEED={seed} cargo test -p cache --test simulation -- --nocapture --exact {test}");
        panic!("{} seeds failed:\n{}\nreplay: {replay}", broken.len(), broken.join("\n"));
    }
}

#[test]
fn promises_hold_under_one_fault_at_a_time_a() {
    survive(Scenario::OneFault, 0);
}

#[test]
fn promises_hold_under_one_fault_at_a_time_b() {
    survive(Scenario::OneFault, 1_000_000);
}

#[test]
fn promises_hold_under_one_fault_at_a_time_c() {
    survive(Scenario::OneFault, 2_000_000);
}

#[test]
fn promises_hold_when_a_node_dies_while_the_ring_settles() {
    survive(Scenario::DeathWhileSettling, 4_000_000);
}

/// Runs that found something, and lie beyond the seeds above. What a seed leads to changes with the timing of the code, so each
/// has a test of its own, too:
/// - 2000329: everything was killed, and what expired while backups were put together let back in what it had replaced
///   (`what_expires_while_backups_are_put_together_keeps_out_what_it_replaced` in the store's tests);
/// - 2000476: a read was answered by an auxiliary out of the ring, and judged after that had come back.
const ONCE_BROKEN: [(Scenario, u64); 2] = [(Scenario::OneFault, 2_000_329), (Scenario::OneFault, 2_000_476)];

#[test]
fn what_once_went_wrong_goes_right() {
    for (scenario, seed) in ONCE_BROKEN {
        assert_eq!(run(scenario, seed, Mutant::None, false).broken, None, "seed {seed}");
    }
}

#[test]
fn the_system_heals_after_many_faults_at_once() {
    survive(Scenario::ManyFaults, 3_000_000);
}

#[test]
fn a_seed_always_does_the_same() {
    for seed in 0..5 {
        let first = run(Scenario::OneFault, seed, Mutant::None, false).trace;
        assert_eq!(first, run(Scenario::OneFault, seed, Mutant::None, false).trace, "seed {seed}");
    }
}

fn is_found(mutant: Mutant, within: u64) {
    let found = (0..within).find(|seed| run(Scenario::OneFault, *seed, mutant, false).broken.is_some());
    assert!(found.is_some(), "{mutant:?} was not found within {within} seeds");
    println!("{mutant:?} was found by seed {found:?}");
}

#[test]
fn a_lost_replica_is_found() {
    is_found(Mutant::LosesReplicas, 20);
}

#[test]
fn owners_that_ignore_epochs_are_found() {
    is_found(Mutant::IgnoresEpochs, 100);
}

#[test]
fn owners_that_ignore_lives_are_found() {
    is_found(Mutant::IgnoresLives, 100);
}

#[test]
fn owners_that_forget_deletes_are_found() {
    is_found(Mutant::ForgetsDeletes, 100);
}

#[test]
fn a_leader_that_does_not_wait_for_sync_is_found() {
    is_found(Mutant::Hurries, 100);
}
