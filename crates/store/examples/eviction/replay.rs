//! A trace through the cache.

use std::fmt::Write as _;

use api::cache::{Lifetime, Packing};
use store::cache::{Bounds, Cache, Condition, Key, Policy, Put};

/// Share of the requests that find their key in a cache with room for so many `entries`.
pub(crate) fn hit_ratio(policy: Policy, entries: usize, requests: &[u32]) -> f64 {
    let cache = cache(policy, entries);
    let mut name = String::new();
    let mut hits = 0u32;
    for (version, number) in (1..).zip(requests) {
        name.clear();
        _ = write!(name, "key:{number}");
        if cache.get(Key::plain(&name), 0).is_some() {
            hits += 1;
        } else {
            put(&cache, &name, version);
        }
    }
    f64::from(hits) / requests.len() as f64
}

/// A cache bounded in entries only.
pub(crate) fn cache(policy: Policy, entries: usize) -> Cache {
    Cache::new(Bounds {
        entries,
        bytes: usize::MAX,
        policy,
    })
}

/// Writes a value of 100 bytes.
pub(crate) fn put(cache: &Cache, name: &str, version: u64) {
    let put = Put {
        value: &[7; 100],
        content_type: "",
        packing: Packing::Plain,
        lifetime: Lifetime::default(),
        version,
        condition: Condition::None,
    };
    cache.put(Key::plain(name), put, 0).expect("a new version without condition");
}
