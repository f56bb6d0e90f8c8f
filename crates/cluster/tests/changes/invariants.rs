//! What must be true at any time.

use api::BootId;
use api::member::{Phase, RingRecord};
use cluster::Routing;
use cluster::change::Seen;

use crate::world::{KEYS, World};

/// Of every record that is written, against the one before it. Keys that lose all their holders are given up, but only with
/// lives that are certainly over.
pub(crate) fn transition(world: &mut World, seen: &Seen, record: &RingRecord) {
    let before = world.record.clone().unwrap_or_default();
    assert_eq!(record.epoch.0, before.epoch.0 + 1, "epochs grow by one");
    assert!(!record.layout.members.is_empty(), "a ring without members: {record:?}");
    assert!(
        record.layout.members.windows(2).all(|pair| pair[0].id < pair[1].id),
        "sorted, no name twice"
    );
    assert!(
        record.phase == Phase::Settling || record.layout.members.iter().all(|member| !member.lost),
        "a lost life is to own keys: {record:?}"
    );
    assert_eq!(record.phase == Phase::Stable, record.previous.is_none());
    let may_follow = match before.phase {
        Phase::Stable => record.phase == Phase::Moving,
        Phase::Moving => record.phase != Phase::Stable,
        Phase::Settling => true,
    };
    assert!(may_follow, "{:?} after {:?}", record.phase, before.phase);
    let routing = Routing::new(record, &Default::default());
    let old = world.routing().cloned().unwrap_or_default();
    for key in 0..KEYS {
        let hash = world.hashes[key];
        if !routing.plan(hash).readers.is_empty() {
            continue;
        }
        for holder in old.plan(hash).readers.iter() {
            let living = world.life(&old, *holder).filter(|node| node.registered);
            let id = old.name(*holder);
            let replicas = before
                .layout
                .replicas
                .min(before.previous.as_ref().map_or(u32::MAX, |layout| layout.replicas));
            assert!(
                living.is_none() || replicas < 2,
                "{id:?} was the last holder of key {key} and may live: {before:?} to {record:?}, seen {seen:?}"
            );
        }
        world.acknowledged[key] = None;
    }
    if record.phase == Phase::Stable {
        zones(&routing, world);
    }
}

/// No two copies in one zone while there is a choice.
fn zones(routing: &Routing, world: &World) {
    let layout = &routing.record().layout;
    let mut all: Vec<_> = layout.members.iter().map(|member| member.zone.clone()).collect();
    all.sort();
    all.dedup();
    let choice = if all.contains(&None) { return } else { all.len() };
    for hash in &world.hashes {
        let owners = routing.plan(*hash).readers;
        let zone_of = |name| {
            layout
                .members
                .iter()
                .find(|member| Some(&member.id) == name)
                .map(|member| &member.zone)
        };
        let mut zones: Vec<_> = owners.iter().map(|owner| zone_of(routing.name(*owner))).collect();
        zones.sort();
        zones.dedup();
        assert_eq!(zones.len(), owners.len().min(choice), "{layout:?}");
    }
}

/// Keys whose holders all died lost what they held: nobody promised otherwise.
pub(crate) fn give_up_what_died(world: &mut World) {
    let Some(routing) = world.routing() else {
        return;
    };
    let lost = |hash: u64| {
        !routing
            .plan(hash)
            .readers
            .iter()
            .any(|reader| world.life(routing, *reader).is_some())
    };
    let lost: Vec<usize> = (0..KEYS).filter(|key| lost(world.hashes[*key])).collect();
    lost.into_iter().for_each(|key| world.acknowledged[key] = None);
}

/// Whether a ring counts on this life no more.
fn is_lost(ring: &Routing, boot_id: BootId) -> bool {
    let layouts = std::iter::once(&ring.record().layout).chain(&ring.record().previous);
    let mut members = layouts.flat_map(|layout| &layout.members);
    members.any(|member| member.lost && member.boot_id == boot_id)
}

/// Whoever may be read from has every acknowledged write: by the newest record, and by the one it serves itself, unless it
/// was given up since.
pub(crate) fn readers_hold_what_was_acknowledged(world: &World) {
    let Some(newest) = world.routing() else {
        return;
    };
    for index in newest.nodes() {
        let Some(node) = world.life(newest, index) else {
            continue;
        };
        let me = (&node.member.id, node.member.boot_id);
        let given_up = world.rings.range(node.epoch + 1..).any(|(_, ring)| is_lost(ring, me.1));
        let by_itself = if given_up { None } else { world.rings.get(&node.epoch) };
        for routing in std::iter::once(newest).chain(by_itself) {
            for (key, acknowledged) in world.acknowledged.iter().enumerate() {
                let readers = routing.plan(world.hashes[key]).readers;
                let reads = routing.index_of(me.0, me.1).is_some_and(|me| readers.contains(&me));
                assert!(
                    !reads || node.data.get(&key).copied() >= *acknowledged,
                    "{} answers reads of key {key} at epoch {} and holds {:?}, but {acknowledged:?} was acknowledged; it serves {}: {:?}",
                    me.0,
                    routing.epoch(),
                    node.data.get(&key),
                    node.epoch,
                    newest.record(),
                );
            }
        }
    }
}
