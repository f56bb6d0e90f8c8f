//! One run: masters, clients and faults; then everything is healed, and everybody is asked what became of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use tokio::task::JoinHandle;

use super::clients::Client;
use super::faults::{Fault, Tally};
use super::judge::judge;
use super::leases::{self, Holder, Promise, Promises};
use super::nemesis::Nemesis;
use super::panics;
use super::record::Told;
use super::told::Teller;
use super::watchers::{END, Log, Watcher};
use super::world::{Running, World, within};
use super::{Mutant, Setup};
use crate::ControlStore as _;
use crate::raft::MemberRole;
use crate::state::ImagePart;
use crate::types::{Consistency, Range};

const CLIENTS: u32 = 5;
/// Longest pause of a client.
const PAUSE: Duration = Duration::from_millis(240);
/// How long the faults go on.
const CHAOS: Duration = Duration::from_secs(12);
/// Time for everything to be well again: a leader waits 90 s for the answer to a snapshot, and one may just have been lost.
const PATIENCE: Duration = Duration::from_secs(150);

/// What came of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What is wrong, in words.
    pub(super) wrong: Vec<String>,
    /// Hash of all that happened.
    pub(super) hash: u64,
    /// Things that happened.
    pub(super) notes: u64,
    pub(super) asked: usize,
    pub(super) done: usize,
    pub(super) revisions: u64,
    /// A revision was applied by nobody who was looked at, so that the clients' answers could not be judged.
    pub(super) undecided: bool,
    /// How often each kind of fault happened.
    pub(super) tally: Arc<Tally>,
}

/// Runs a world from begin to end.
pub(super) fn simulate(setup: Setup) -> Outcome {
    panics::watch();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    // Not the world's: its parts hold each other, and it is never dropped.
    let dir = tempfile::tempdir().expect("a directory for locks");
    runtime.expect("a runtime").block_on(run(setup, dir.path()))
}

async fn run(setup: Setup, dir: &Path) -> Outcome {
    // As long as it lives.
    let _teller = setup.told.then(|| tracing::subscriber::set_default(Teller::new()));
    let mut rng = Rng::with_seed(setup.seed);
    let world = World::new(rng.u64(..), setup.masters, setup.mutant, setup.told, dir);
    for name in world.initial_names() {
        tokio::time::sleep(Duration::from_millis(rng.u64(..300))).await;
        world.boot(&name, false);
    }
    if !within(PATIENCE, async || !world.running().is_empty()).await {
        world.complain("no master was ever ready".to_owned());
    }

    let mut clients: Vec<JoinHandle<()>> = Vec::new();
    for number in 0..CLIENTS {
        clients.push(tokio::spawn(Client::new(&world, number, rng.fork(), PAUSE).run()));
    }
    let promises = Promises::default();
    let holder = Holder {
        world: Arc::clone(&world),
        rng: rng.fork(),
        number: CLIENTS,
        promises: Arc::clone(&promises),
    };
    clients.push(tokio::spawn(holder.run()));
    let logs = [Log::of("kv/"), Log::of("")];
    for log in &logs {
        let watcher = Watcher {
            world: Arc::clone(&world),
            rng: rng.fork(),
            log: Arc::clone(log),
        };
        tokio::spawn(watcher.run());
    }

    let mut nemesis = Nemesis::new(&world, rng.fork(), false);
    let mut other = Nemesis::new(&world, rng.fork(), true);
    if rng.u32(..3) == 0 {
        tokio::join!(nemesis.run(CHAOS), other.run(CHAOS));
    } else {
        nemesis.run(CHAOS).await;
    }

    let members = settle(&world, &mut nemesis).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.over.store(true, Ordering::Relaxed);
    for client in clients {
        if let Err(error) = client.await {
            world.complain(format!("a client failed: {error}"));
        }
    }
    finish(&world, &members).await;
    let watched = within(PATIENCE, async || logs.iter().all(|log| log.lock().has_ended())).await;
    world.trace.note(format_args!("watchers came to the end: {watched}"));
    verdict(
        &world,
        &promises.lock(),
        &logs.iter().map(|log| log.lock()).collect::<Vec<_>>(),
    )
}

/// Heals everything, and waits until all members are there and vote.
async fn settle(world: &Arc<World>, nemesis: &mut Nemesis) -> Vec<String> {
    world.trace.note(format_args!("everything is healed"));
    world.weather.lock().clear();
    nemesis.make_space();
    for name in world.initial_names() {
        if nemesis.wiped.as_deref() != Some(&name) && !nemesis.gone.contains(&name) {
            world.boot(&name, false);
        }
    }
    let mut replaced = nemesis.wiped.is_none() || world.mutant == Some(Mutant::ForgedStores);
    let mut names = Vec::new();
    let settled = within(PATIENCE, async || {
        let Some(members) = world.members().await else { return false };
        if let Some(wiped) = nemesis.wiped.clone().filter(|_| !replaced) {
            replaced = nemesis.replace_wiped(&wiped, &members).await;
            return false;
        }
        for member in &members {
            nemesis.boot(&member.name);
        }
        for name in world.alive() {
            if !members.iter().any(|member| member.name == name) {
                world.kill(&name, false);
            }
        }
        names = members.iter().map(|member| member.name.clone()).collect();
        let all_there = world.running().len() == members.len();
        all_there && members.iter().all(|member| member.role != MemberRole::Learner)
    })
    .await;
    if !settled {
        let running: Vec<String> = world.running().into_iter().map(|master| master.name).collect();
        world.complain(format!("the masters {names:?} do not come to rest; {running:?} run"));
    }
    for _ in names.iter().filter(|name| !world.initial_names().contains(name)) {
        world.tally.note(Fault::MemberPromoted);
    }
    names
}

/// Writes the last value, and makes sure that all masters hold the same in the end.
async fn finish(world: &Arc<World>, members: &[String]) {
    let mut leftover = usize::MAX;
    let ended = within(PATIENCE, async || {
        let Some(master) = world.running().into_iter().next() else {
            return false;
        };
        let Ok(listing) = master
            .store
            .range(Range::prefix(leases::PREFIX), Consistency::Linearizable)
            .await
        else {
            return false;
        };
        leftover = listing.items.len();
        leftover == 0 && master.store.put(END, Bytes::from_static(b"end"), None).await.is_ok()
    })
    .await;
    if !ended {
        world.complain(format!("the last write was not taken; {leftover} keys with leases are left"));
    }
    let same = within(PATIENCE, async || {
        let images: Vec<_> = world.running().iter().map(image).collect();
        images.len() == members.len() && images.windows(2).all(|pair| pair[0] == pair[1])
    })
    .await;
    if !same {
        world.complain("the masters do not hold the same in the end".to_owned());
    }
}

fn image(master: &Running) -> Vec<ImagePart> {
    master.store.applied.look(|state| state.image().parts().collect())
}

fn verdict<L: std::ops::Deref<Target = Log>>(world: &Arc<World>, promises: &BTreeMap<String, Promise>, logs: &[L]) -> Outcome {
    let mut wrong = world.wrong.lock().clone();
    wrong.extend(panics::take());
    let (truth, records) = (world.truth.lock(), world.records.lock());
    let hole = truth.hole();
    if hole.is_none() {
        wrong.extend(judge(&truth, &records));
        wrong.extend(leases::judge(&truth, promises, &world.jumps.lock()));
        wrong.extend(logs.iter().flat_map(|log| log.judge(&truth)));
        for master in world.running() {
            let held = master.store.applied.look(|state| state.range(&Range::default()));
            if held.items != truth.list("", truth.last()) || held.revision != truth.last() {
                let (name, held, last) = (&master.name, held.revision, truth.last());
                wrong.push(format!(
                    "{name} holds revision {held} in the end, and not what was written up to {last}"
                ));
            }
        }
    }
    let (hash, notes) = world.trace.hash();
    Outcome {
        wrong,
        hash,
        notes,
        asked: records.len(),
        done: records
            .iter()
            .filter(|record| !matches!(record.told, Told::Refused(_) | Told::Unknown(_)))
            .count(),
        revisions: truth.last(),
        undecided: hole.is_some(),
        tally: Arc::clone(&world.tally),
    }
}
