//! What must be true once nothing is broken any more and nobody writes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use api::member::Phase;
use api::{BootId, NodeId};
use cache::Rings;
use cache::front::Outcome;
use hash_ring::hash_key;
use store::cache::{Key, RecordState};
use tokio::time::{Instant, sleep};

use super::clients::read_through;
use super::history::SKEW;
use super::node::Life;
use super::world::World;

/// Longest time from the end of a fault to a stable ring, leases and patience included.
const HEALS_WITHIN: Duration = Duration::from_secs(60);

/// Waits until the ring is stable with all who live, and everybody knows it.
pub(crate) async fn stable(world: &Arc<World>) {
    let until = Instant::now() + HEALS_WITHIN;
    while world.failure().is_none() {
        let Err(reason) = is_stable(world) else { return };
        if Instant::now() > until {
            world.fail(format!(
                "the ring is not stable {HEALS_WITHIN:?} after the last fault: {reason}"
            ));
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn is_stable(world: &World) -> Result<(), String> {
    let record = world.control.record().ok_or("there is none")?;
    if record.phase != Phase::Stable {
        return Err(format!("epoch {} is {}", record.epoch, record.phase.as_str()));
    }
    if world.control.rebalance() {
        return Err("a rebalance is still to come".to_owned());
    }
    let drained = world.control.drains();
    let lives = world.lives();
    let wanted: BTreeSet<(NodeId, [u8; 16])> = lives
        .iter()
        .map(|life| (life.id.clone(), life.boot_id))
        .filter(|(id, boot_id)| drained.get(id) != Some(boot_id))
        .map(|(id, boot_id)| (id, boot_id.to_bytes()))
        .collect();
    let members = record.layout.members.iter();
    let members = members.map(|member| (member.id.clone(), member.boot_id.to_bytes())).collect();
    if wanted != members {
        return Err(format!("members are {members:?}, and {wanted:?} live"));
    }
    if let Some(life) = lives.iter().find(|life| life.owner.epoch() != record.epoch) {
        return Err(format!("{} serves {}", life.place, life.owner.epoch()));
    }
    let masters = world.masters.lock();
    match masters.values().find(|master| master.rings.routing().epoch() != record.epoch) {
        Some(master) => Err(format!("{} routes by {}", master.place, master.rings.routing().epoch())),
        None => Ok(()),
    }
}

/// What a node has of a key: version, and value unless it was deleted.
type Held = Option<(u64, Option<Vec<u8>>)>;

/// All owners of a key hold the same, and nobody else holds anything.
pub(crate) fn copies(world: &World) {
    let routing = world.control.routing();
    let lives = world.lives();
    let by_life: HashMap<BootId, &Arc<Life>> = lives.iter().map(|life| (life.boot_id, life)).collect();
    let keys = world.model.lock().keys();
    for key in keys {
        let owners = routing.plan(hash_key("", &key)).readers;
        let owners: Vec<&Arc<Life>> = owners
            .iter()
            .filter_map(|node| by_life.get(&routing.node(*node)?.boot_id).copied())
            .collect();
        let held: Vec<Held> = owners.iter().map(|life| held(world, life, &key)).collect();
        if held.windows(2).any(|pair| pair[0] != pair[1]) {
            let places: Vec<String> = owners.iter().map(|life| life.place.to_string()).collect();
            world.fail(format!("the owners {places:?} of {key} hold {held:?}"));
        }
        let strangers = lives
            .iter()
            .filter(|life| !owners.iter().any(|owner| owner.boot_id == life.boot_id));
        for life in strangers {
            let held = held_at_all(life, &key);
            if held.is_some() && routing.serves(&life.id, life.boot_id) {
                world.fail(format!("{} holds {held:?} of {key}, and is none of its owners", life.place));
            }
        }
    }
}

/// What counts: what is about to expire, or has just, is not looked at.
fn held(world: &World, life: &Life, key: &str) -> Held {
    let soon = world.now_ms() + SKEW / 1_000;
    let record = life.owner.store().record(Key::plain(key))?;
    match record.state {
        RecordState::Live(hit) => {
            let expires_at_ms = hit.lifetime().expires_at_ms;
            let counts = expires_at_ms == 0 || expires_at_ms > soon;
            counts.then(|| (record.version, Some(hit.value().to_vec())))
        }
        RecordState::Deleted { .. } => Some((record.version, None)),
    }
}

fn held_at_all(life: &Life, key: &str) -> Option<u64> {
    life.owner.store().record(Key::plain(key)).map(|record| record.version)
}

/// Every key reads the same through every master, as the last write that was acknowledged, or one whose outcome is unknown.
pub(crate) async fn reads(world: &Arc<World>) {
    let keys = world.model.lock().keys();
    let masters: Vec<u8> = world.masters.lock().keys().copied().collect();
    for keys in keys.chunks(50) {
        let mut first: Option<Vec<Option<u64>>> = None;
        for master in &masters {
            let answers = read_through(world, *master, keys).await;
            let versions: Vec<Option<u64>> = answers
                .into_iter()
                .map(|answer| match answer {
                    Some(Ok(answer)) => match answer.outcome {
                        // What expires between two reads is no difference.
                        Outcome::Hit(found) => (found.lifetime.expires_at_ms == 0).then_some(found.version),
                        _ => None,
                    },
                    _ => None,
                })
                .collect();
            let expected = first.get_or_insert_with(|| versions.clone());
            if *expected != versions {
                world.fail(format!("masters read {expected:?} and {versions:?} of {keys:?}"));
            }
        }
    }
}
