//! The byte bound is a bound on memory, not on payload: what is accounted for covers what the process really takes.
//!
//! Measured with the allocator the services use. Each measurement keeps its cache: freed memory would be used again, and
//! not show, in the next one. For the same reason each test wants a process of its own, as nextest gives it.
#![cfg(target_os = "linux")]

#[path = "cache/writes.rs"]
mod writes;

use api::cache::{Lifetime, Packing, ReplicaItem, ReplicaState};
use mimalloc::MiMalloc;
use store::cache::{Bounds, Cache, Condition, Key, Policy, Put, Role};

use self::writes::{put, until};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Memory the process has, in bytes. Pages that are freed and not given back count.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages = statm.split_whitespace().nth(1).expect("resident pages");
    pages.parse::<usize>().expect("a number") * 4096
}

fn unbounded(policy: Policy) -> Cache {
    Cache::new(Bounds {
        entries: usize::MAX,
        bytes: usize::MAX,
        policy,
    })
}

/// A size as values have them: mostly small, some large, none typical.
fn mixed(random: &mut fastrand::Rng) -> usize {
    match random.u32(0..100) {
        0..60 => random.usize(16..512),
        60..95 => random.usize(512..8_192),
        _ => random.usize(8_192..200_000),
    }
}

/// What is filled, and whether resident over accounted memory is as it should be.
fn check(what: &str, fill: impl FnOnce() -> Cache) -> Cache {
    let before = resident_bytes();
    let cache = fill();
    let grown = resident_bytes().saturating_sub(before);
    let accounted = cache.stats().bytes;
    let ratio = grown as f64 / accounted as f64;
    println!("resident/accounted = {ratio:.3} ({grown} / {accounted}): {what}");
    assert!((0.6..1.15).contains(&ratio), "resident/accounted = {ratio:.3}: {what}");
    cache
}

fn filled(policy: Policy, value_len: usize, expires: bool) -> Cache {
    let cache = unbounded(policy);
    let value = vec![7u8; value_len];
    for n in 0..100_000u64 {
        let key = format!("user:{n:08}");
        let expires_at_ms = if expires {
            1_000_000 + n.wrapping_mul(7_919) % 1_000
        } else {
            0
        };
        cache
            .put(
                Key::plain(&key),
                Put {
                    lifetime: until(expires_at_ms),
                    ..put(&value, n + 1)
                },
                0,
            )
            .expect("no bounds");
        // The first read makes the value shared, which takes memory too.
        assert!(cache.get(Key::plain(&key), 0).is_some());
    }
    cache
}

fn replicated(policy: Policy) -> Cache {
    let cache = unbounded(policy);
    let value = [7u8; 100];
    for n in 0..100_000u64 {
        let item = ReplicaItem {
            namespace: "sessions",
            key: &format!("user:{n:08}"),
            version: n + 1,
            state: ReplicaState::Live {
                value: &value,
                content_type: "application/json",
                packing: Packing::Plain,
                lifetime: Lifetime::default(),
                created: true,
            },
        };
        cache.apply(&item, Role::Replica, 0);
    }
    cache
}

fn buried() -> Cache {
    let cache = unbounded(Policy::Lru);
    for n in 0..100_000u64 {
        let key = format!("user:{n:08}");
        cache
            .delete(Key::plain(&key), n + 1, Condition::None, n)
            .expect("nothing there");
    }
    cache
}

#[test]
fn what_is_held_takes_no_more_memory_than_is_accounted() {
    let mut caches = Vec::new();
    for policy in Policy::ALL {
        for (value_len, expires) in [(100, false), (100, true), (1_000, false)] {
            let what = format!("{policy}, values of {value_len} bytes, expiring: {expires}");
            caches.push(check(&what, || filled(policy, value_len, expires)));
        }
        caches.push(check(&format!("{policy}, replicas"), || replicated(policy)));
    }
    caches.push(check("tombstones", buried));
    assert_eq!(caches.len(), 9);
}

/// The bound under churn of mixed sizes. `ELASTICORE_CHURN_WRITES` makes it longer, `ELASTICORE_CHURN_MIB` larger.
fn churn(policy: Policy) {
    /// What the process takes besides: the allocator's half-filled pages, one or two for each class of sizes.
    const BASE: usize = 16 << 20;
    let number = |name, default: u64| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let writes = number("ELASTICORE_CHURN_WRITES", 150_000);
    let bound = number("ELASTICORE_CHURN_MIB", 96) as usize * 1024 * 1024;
    let mut random = fastrand::Rng::with_seed(7);
    let before = resident_bytes();
    let cache = Cache::new(Bounds {
        entries: 1_000_000,
        bytes: bound,
        policy,
    });
    let noise = vec![7u8; 200_000];
    let mut highest = 0;
    for n in 0..writes {
        let key = format!("user:{:08}", random.u64(0..200_000));
        let expires_at_ms = if random.bool() { n + random.u64(1..50_000) } else { 0 };
        match random.u32(0..10) {
            0 => {
                cache.delete(Key::plain(&key), n + 1, Condition::None, n).expect("newest");
            }
            1 | 2 => drop(cache.get(Key::plain(&key), n)),
            _ => {
                let value = &noise[..mixed(&mut random)];
                cache
                    .put(
                        Key::plain(&key),
                        Put {
                            lifetime: until(expires_at_ms),
                            ..put(value, n + 1)
                        },
                        n,
                    )
                    .expect("newest");
            }
        }
        if n % 1_000 == 0 {
            cache.sweep(n, 10_000);
            drop(cache.take_changes());
            highest = highest.max(resident_bytes().saturating_sub(before));
        }
    }
    let stats = cache.stats();
    println!(
        "{policy}: resident at most {:.3} of the bound, {stats:?}",
        highest as f64 / bound as f64
    );
    assert!(stats.evictions_by_bytes > 0 && stats.tombstones > 0, "{stats:?}");
    assert!(
        highest <= bound + bound * 15 / 100 + BASE,
        "{policy}: {highest} bytes resident for a bound of {bound}"
    );
}

#[test]
fn churn_of_mixed_sizes_stays_within_the_bound_with_lru() {
    churn(Policy::Lru);
}

#[test]
fn churn_of_mixed_sizes_stays_within_the_bound_with_s3fifo() {
    churn(Policy::S3Fifo);
}
