//! A deterministic simulation of several masters: our own layers and the protocol, over a network, disks and a clock that a seed
//! decides about.
//!
//! Everything runs on one thread, on tokio's paused clock, so that a minute takes as long as the work in it. Chance comes from
//! the seed alone, so the same seed is the same run, message by message. What is real: the engine, the log and snapshots down to
//! the calls of the disk, identity and formation, the encoding of all messages, forwarding, read index, members, leases and
//! watches. What is not: sockets, the kernel's files, threads.
//!
//! `KV_SIM_SEEDS` says how many seeds the shards try together (1,000 unless told), `KV_SIM_FROM` from which one on;
//! `KV_SIM_SEED` replays one and tells what happens (`KV_SIM_MUTANT`: with a fault of ours).

mod boot;
mod clients;
mod clock;
mod disk;
mod faults;
mod judge;
mod leases;
mod nemesis;
mod network;
mod panics;
mod record;
mod run;
pub(crate) mod runtime;
mod succession;
mod told;
mod trace;
mod truth;
mod watched;
mod watchers;
mod world;

use std::env;
use std::time::Duration;

use faults::Tally;
use run::simulate;
use succession::times_without_writes;

/// Shards of the seeds: tests that run beside each other.
const SHARDS: u64 = 8;
/// Seeds unless told otherwise.
const SEEDS: u64 = 1_000;
/// Seeds within which each mutant has to be found out.
const MUTANT_SEEDS: u64 = 100;
/// Seeds of the runs in which leaders die, and nothing else happens.
const DEATH_SEEDS: u64 = 100;
/// Seeds within which every kind of fault has to happen.
const ENOUGH_SEEDS: u64 = 60;

/// A fault of ours, to show that the simulation would find one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutant {
    /// What is acknowledged is not durable: disks say that they have synced, and have not.
    LyingDisks,
    /// What a killed process had written and not synced counts after its restart as if it were synced.
    UnsyncedRestarts,
    /// A master that has lost its disk is taken for the one it was, and votes.
    ForgedStores,
    /// A follower does not ask the leader before it reads.
    ReadsWithoutIndex,
    /// A write that was forwarded is sent again.
    RepeatedForwards,
}

const MUTANTS: [Mutant; 5] = [
    Mutant::LyingDisks,
    Mutant::UnsyncedRestarts,
    Mutant::ForgedStores,
    Mutant::ReadsWithoutIndex,
    Mutant::RepeatedForwards,
];

/// What is to be run.
#[derive(Debug, Clone, Copy)]
struct Setup {
    seed: u64,
    masters: usize,
    mutant: Option<Mutant>,
    /// Tells what happens.
    told: bool,
}

impl Setup {
    fn of(seed: u64) -> Self {
        Self {
            seed,
            masters: if seed % 4 == 3 { 5 } else { 3 },
            mutant: None,
            told: false,
        }
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

/// Runs a share of the seeds.
fn shard(shard: u64) {
    let (seeds, from) = (number("KV_SIM_SEEDS").unwrap_or(SEEDS), number("KV_SIM_FROM").unwrap_or(0));
    let (mut tried, mut undecided, mut done, mut failures) = (0, 0, 0, Vec::new());
    let tally = Tally::default();
    for seed in (from..from + seeds).filter(|seed| seed % SHARDS == shard) {
        let outcome = simulate(Setup::of(seed));
        tried += 1;
        undecided += u64::from(outcome.undecided);
        done += outcome.done;
        tally.add(&outcome.tally);
        if !outcome.wrong.is_empty() {
            failures.push(format!(
                "seed {seed} ({} asked, {} done, {} revisions), replay with KV_SIM_SEED={seed}:\n  {}",
                outcome.asked,
                outcome.done,
                outcome.revisions,
                outcome.wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n  ")
            ));
        }
    }
    println!("{tried} seeds, {done} operations done, {undecided} seeds undecided; what happened: {tally:?}");
    assert!(
        failures.is_empty(),
        "{} seeds of {tried}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(20 * undecided <= tried, "{undecided} seeds of {tried} could not be judged");
    assert!(
        tried < ENOUGH_SEEDS || tally.missing().is_empty(),
        "{tried} seeds, and none of them had: {:?}",
        tally.missing()
    );
}

macro_rules! shards {
    ($($name:ident: $number:literal,)*) => { $(
        #[test]
        fn $name() {
            shard($number);
        }
    )* };
}

shards! {
    whatever_happens_nothing_acknowledged_is_lost_0: 0,
    whatever_happens_nothing_acknowledged_is_lost_1: 1,
    whatever_happens_nothing_acknowledged_is_lost_2: 2,
    whatever_happens_nothing_acknowledged_is_lost_3: 3,
    whatever_happens_nothing_acknowledged_is_lost_4: 4,
    whatever_happens_nothing_acknowledged_is_lost_5: 5,
    whatever_happens_nothing_acknowledged_is_lost_6: 6,
    whatever_happens_nothing_acknowledged_is_lost_7: 7,
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [1, 2, 3, 7, 12, 19] {
        let (first, second) = (simulate(Setup::of(seed)), simulate(Setup::of(seed)));
        assert!(first.notes > 500, "seed {seed}: only {} things happened", first.notes);
        assert_eq!((first.hash, first.notes), (second.hash, second.notes), "seed {seed}");
    }
}

/// What is promised is less than 3 s; what a real disk and network add is seconds less than what is left.
#[test]
fn writes_go_on_within_three_seconds_of_the_death_of_the_leader() {
    let mut times: Vec<Duration> = (0..DEATH_SEEDS)
        .flat_map(|seed| times_without_writes(seed, if seed % 2 == 0 { 3 } else { 5 }))
        .collect();
    times.sort_unstable();
    let share = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{} leaders died; the next write was answered after {:?} (least), {:?} (median), {:?} (90 %), {:?} (99 %), {:?} (most)",
        times.len(),
        share(0),
        share(50),
        share(90),
        share(99),
        share(100)
    );
    assert!(share(100) < Duration::from_secs(3), "{times:?}");
}

fn found_out(mutant: Mutant) {
    for seed in 0..MUTANT_SEEDS {
        let outcome = simulate(Setup {
            mutant: Some(mutant),
            masters: 3,
            ..Setup::of(seed)
        });
        if let Some(first) = outcome.wrong.first() {
            println!("{mutant:?} was found out by seed {seed}: {first}");
            return;
        }
    }
    panic!("{MUTANT_SEEDS} seeds did not notice: {mutant:?}");
}

#[test]
fn disks_that_lie_are_found_out() {
    found_out(Mutant::LyingDisks);
}

#[test]
fn what_was_only_written_before_a_crash_is_found_out() {
    found_out(Mutant::UnsyncedRestarts);
}

#[test]
fn a_vote_of_a_master_without_its_disk_is_found_out() {
    found_out(Mutant::ForgedStores);
}

#[test]
fn reads_without_asking_the_leader_are_found_out() {
    found_out(Mutant::ReadsWithoutIndex);
}

#[test]
fn a_forwarded_write_that_is_repeated_is_found_out() {
    found_out(Mutant::RepeatedForwards);
}

#[test]
fn the_seed_that_was_asked_for() {
    let Some(seed) = number("KV_SIM_SEED") else { return };
    let named = env::var("KV_SIM_MUTANT").unwrap_or_default();
    let outcome = simulate(Setup {
        mutant: MUTANTS.into_iter().find(|mutant| format!("{mutant:?}") == named),
        told: true,
        ..Setup::of(seed)
    });
    println!("{outcome:?}");
    assert!(outcome.wrong.is_empty(), "{}", outcome.wrong.join("\n"));
}
