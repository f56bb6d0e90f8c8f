//! What the policies are for: which keys are still there after traffic of some kind.

use super::super::s3fifo::S3Fifo;
use super::{Eviction, Policy, StoredKey, key};

const ROOM: usize = 1_000;
const HOT: usize = 100;

/// Asks for a key, and caches it when it is not there, as a caller would who has room for `ROOM`.
fn ask(table: &mut dyn Eviction<()>, n: usize) -> bool {
    let hit = table.get(key(n)).is_some();
    if !hit {
        table.insert(StoredKey::from(key(n)), ());
        while table.len() > ROOM {
            table.victim();
        }
    }
    hit
}

fn hot_keys_left(table: &dyn Eviction<()>) -> usize {
    (0..HOT).filter(|n| table.peek(key(*n)).is_some()).count()
}

/// A table that is full of keys used once, and of hot keys used four times.
fn warm(policy: Policy) -> Box<dyn Eviction<()>> {
    let mut table = policy.table();
    for _ in 0..4 {
        (0..HOT).for_each(|n| _ = ask(&mut *table, n));
    }
    (HOT..ROOM).for_each(|n| _ = ask(&mut *table, n));
    table
}

#[test]
fn a_scan_takes_all_from_lru_and_nothing_hot_from_s3fifo() {
    for (policy, left) in [(Policy::Lru, 0), (Policy::S3Fifo, HOT)] {
        let mut table = warm(policy);
        (ROOM..20 * ROOM).for_each(|n| assert!(!ask(&mut *table, n)));
        assert_eq!(hot_keys_left(&*table), left, "{policy}");
    }
}

#[test]
fn keys_that_cool_down_are_evicted_in_the_end() {
    for policy in Policy::ALL {
        let mut table = warm(policy);
        for round in 0..40 {
            (0..ROOM - HOT).for_each(|n| _ = ask(&mut *table, ROOM + round % 2 * ROOM / 2 + n));
        }
        assert_eq!(hot_keys_left(&*table), 0, "{policy}");
    }
}

#[test]
fn an_entry_that_comes_back_soon_outlives_a_scan() {
    let mut table = warm(Policy::S3Fifo);
    (ROOM..5 * ROOM).for_each(|n| _ = ask(&mut *table, n));
    // The small queue has the 900 latest, since nobody else wants the room; the ghost the 900 before them.
    let back = 5 * ROOM - 1_500;
    assert!(!ask(&mut *table, back));
    (5 * ROOM..7 * ROOM).for_each(|n| _ = ask(&mut *table, n));
    assert!(table.peek(key(back)).is_some());
    assert!(table.peek(key(5 * ROOM)).is_none());
}

#[test]
fn memory_of_s3fifo_follows_its_entries() {
    let mut table = S3Fifo::default();
    for n in 0..20_000 {
        ask(&mut table, n);
        assert!(table.remembered() <= table.len());
    }
    assert!(table.remembered() > ROOM / 2);
    assert_eq!(table.slots(), ROOM + 1, "vacant slots are used again");
    for n in 0..20_000 {
        table.insert(StoredKey::from(key(n)), ());
    }
    for n in 100..20_000 {
        table.remove(key(n));
        assert!(table.remembered() <= table.len());
        assert!(table.slots() <= 2 * table.len() + 64);
    }
    assert_eq!(table.len(), 100);
    assert!((0..100).all(|n| table.peek(key(n)).is_some()));
}
