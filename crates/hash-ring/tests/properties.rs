//! What placement promises, on arbitrary members.

use std::collections::{BTreeMap, HashSet};

use hash_ring::{MAX_OWNERS, Member, Ring, hash_key};
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

const KEYS: u32 = 3_000;

fn members(seed: u32, count: usize, zones: usize) -> Vec<Member> {
    (0..count)
        .map(|n| Member {
            id: format!("node-{seed}-{n}"),
            weight: 1,
            zone: (zones > 0).then(|| format!("zone-{}", n % zones)),
        })
        .collect()
}

fn keys() -> impl Iterator<Item = u64> {
    (0..KEYS).map(|n| hash_key("", &format!("key-{n}")))
}

fn owner_id(ring: &Ring, hash: u64) -> &str {
    &ring.member(ring.owner(hash).expect("the ring is not empty")).id
}

fn owner_ids(ring: &Ring, hash: u64, replicas: usize) -> HashSet<&str> {
    ring.owners(hash, replicas)
        .iter()
        .map(|index| ring.member(*index).id.as_str())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn adding_a_member_moves_its_share_and_nothing_else(seed: u32, count in 1usize..9) {
        let all = members(seed, count + 1, 0);
        let before = Ring::new(all[..count].to_vec(), 256);
        let after = Ring::new(all.clone(), 256);
        let mut moved = 0;
        for hash in keys() {
            if owner_id(&before, hash) != owner_id(&after, hash) {
                prop_assert_eq!(owner_id(&after, hash), all[count].id.as_str(), "moved between old members");
                moved += 1;
            }
        }
        let expected = f64::from(KEYS) / (count as f64 + 1.0);
        prop_assert!((f64::from(moved) / expected - 1.0).abs() < 0.35, "moved {} of {}, expected about {}", moved, KEYS, expected);
    }

    #[test]
    fn removing_a_member_moves_only_its_keys(seed: u32, count in 2usize..9, gone in 0usize..9) {
        let all = members(seed, count, 0);
        let gone = gone % count;
        let before = Ring::new(all.clone(), 128);
        let after = Ring::new(all.iter().enumerate().filter(|(n, _)| *n != gone).map(|(_, m)| m.clone()), 128);
        for hash in keys() {
            let was = owner_id(&before, hash);
            prop_assert_eq!(was != owner_id(&after, hash), was == all[gone].id);
        }
    }

    #[test]
    fn adding_a_member_gives_no_old_member_a_new_copy(seed: u32, count in 1usize..7, zones in 0usize..4, replicas in 1usize..4) {
        let all = members(seed, count + 1, zones);
        let before = Ring::new(all[..count].to_vec(), 64);
        let after = Ring::new(all.clone(), 64);
        for hash in keys().take(500) {
            let old = owner_ids(&before, hash, replicas);
            for id in owner_ids(&after, hash, replicas) {
                prop_assert!(old.contains(id) || id == all[count].id);
            }
        }
    }

    #[test]
    fn owners_are_distinct_and_in_distinct_zones_while_there_are_enough(
        seed: u32, count in 1usize..8, zones in 0usize..4, replicas in 1usize..10, hash: u64,
    ) {
        let ring = Ring::new(members(seed, count, zones), 64);
        let owners = ring.owners(hash, replicas);
        prop_assert_eq!(owners.len(), replicas.min(count).min(MAX_OWNERS));
        let distinct: HashSet<u32> = owners.iter().copied().collect();
        prop_assert_eq!(distinct.len(), owners.len());
        if zones > 0 {
            let seen: HashSet<_> = owners.iter().map(|index| ring.member(*index).zone.clone()).collect();
            prop_assert_eq!(seen.len(), owners.len().min(zones.min(count)));
        }
    }

    #[test]
    fn the_order_of_members_does_not_matter(seed: u32, count in 1usize..8, turn in 0usize..8) {
        let all = members(seed, count, 2);
        let mut turned = all.clone();
        turned.rotate_left(turn % count);
        turned.push(all[0].clone());
        prop_assert_eq!(Ring::new(all, 64), Ring::new(turned, 64));
    }

    #[test]
    fn shares_follow_weights(seed: u32, heavy in 2u32..5) {
        let mut all = members(seed, 4, 0);
        all[0].weight = heavy;
        let shares = Ring::new(all, 256).shares();
        prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let expected = f64::from(heavy) / f64::from(heavy + 3);
        prop_assert!((shares[0] / expected - 1.0).abs() < 0.25, "share {} of weight {}, expected about {}", shares[0], heavy, expected);
    }
}

/// Worst of the members' shares over the mean, averaged over many rings: balance is about 1/sqrt(V).
fn max_over_mean(count: usize, virtual_nodes: u32) -> f64 {
    let rings = 40;
    (0..rings)
        .map(|seed| {
            Ring::new(members(seed, count, 0), virtual_nodes)
                .shares()
                .into_iter()
                .fold(0.0, f64::max)
                * count as f64
        })
        .sum::<f64>()
        / f64::from(rings)
}

#[test]
fn keys_are_balanced_over_three_members() {
    let at_256 = max_over_mean(3, 256);
    assert!(at_256 < 1.10, "max/mean at N=3 V=256 is {at_256}");
    let at_10 = max_over_mean(3, 10);
    assert!(
        at_10 > at_256,
        "more virtual nodes must balance better: {at_10} against {at_256}"
    );
}

#[test]
fn keys_are_balanced_over_ten_members() {
    let found = max_over_mean(10, 256);
    assert!(found < 1.15, "max/mean at N=10 V=256 is {found}");
}

#[test]
fn names_people_use_are_balanced() {
    for prefix in ["auxiliary-", "aux", "node-"] {
        let ring = Ring::new(
            (1..=3).map(|n| Member {
                id: format!("{prefix}{n}"),
                weight: 1,
                zone: None,
            }),
            256,
        );
        let mut held: BTreeMap<u32, u32> = BTreeMap::new();
        for hash in (0..30_000).map(|n| hash_key("", &format!("user:{n}"))) {
            *held.entry(ring.owner(hash).expect("not empty")).or_default() += 1;
        }
        let most = f64::from(*held.values().max().expect("three members"));
        assert!(most / 10_000.0 < 1.15, "{prefix}: {held:?}");
    }
}
