//! What a join moves.

use std::collections::BTreeMap;

use cluster::{RingPolicy, Routing};
use hash_ring::hash_key;

use crate::leader::Leader;
use crate::stage::calm;
use crate::world::World;

#[test]
fn a_join_moves_about_its_share_and_copies_only_to_the_newcomer() {
    for count in 2..7 {
        let policy = RingPolicy {
            virtual_nodes: 256,
            replicas: 2,
        };
        let (mut world, mut leader) = (World::new(1), Leader::new(policy));
        (0..count).for_each(|n| world.start(&format!("n{n}"), None));
        calm(&mut world, &mut leader);
        let before = world.routing().expect("a ring").clone();
        world.start("newcomer", None);
        calm(&mut world, &mut leader);
        let after = world.routing().expect("a ring").clone();
        let total = 20_000;
        let mut moved = 0;
        for hash in (0..total).map(|n| hash_key("", &n.to_string())) {
            let names = |routing: &Routing| -> Vec<String> {
                let readers = routing.plan(hash).readers;
                readers
                    .iter()
                    .filter_map(|index| routing.name(*index))
                    .map(ToString::to_string)
                    .collect()
            };
            let (old, new) = (names(&before), names(&after));
            moved += u32::from(old.first() != new.first());
            let gained: Vec<&String> = new.iter().filter(|name| !old.contains(name)).collect();
            assert!(gained.iter().all(|name| *name == "newcomer"), "{gained:?}");
        }
        let (share, expected) = (f64::from(moved) / f64::from(total), 1.0 / f64::from(count + 1));
        assert!(
            (share / expected - 1.0).abs() < 0.25,
            "{count} nodes: {share}, expected about {expected}"
        );
        let shares: BTreeMap<_, _> = after.shares().collect();
        assert_eq!(shares.len(), count as usize + 1);
    }
}
