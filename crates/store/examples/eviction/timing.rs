//! What a call costs.

use std::hint::black_box;
use std::time::Instant;

use fastrand::Rng;
use store::cache::{Key, Policy};

use super::replay::{cache, put};
use super::traces::SEED;

/// Entries in the cache, which is full.
pub(crate) const ENTRIES: usize = 100_000;

/// Measurements, of which the fastest counts: it was disturbed least.
pub(crate) const ROUNDS: usize = 400;

/// Calls in one of them: few enough to be over before the scheduler wants the core for somebody else.
const CALLS: usize = 500;

/// Nanoseconds per call.
pub(crate) struct Cost {
    pub(crate) get: f64,
    pub(crate) put: f64,
}

pub(crate) fn measure(policy: Policy) -> Cost {
    let cache = cache(policy, ENTRIES);
    let names: Vec<String> = (0..ENTRIES + ROUNDS * CALLS).map(|number| format!("key:{number}")).collect();
    let (held, new) = names.split_at(ENTRIES);
    held.iter().for_each(|name| put(&cache, name, 1));
    let mut random = Rng::with_seed(SEED);
    let asked: Vec<&String> = (0..ROUNDS * CALLS).map(|_| &held[random.usize(..ENTRIES)]).collect();
    Cost {
        get: fastest(&asked, |name| {
            assert!(black_box(cache.get(Key::plain(name), 0)).is_some());
        }),
        put: fastest(new, |name| put(&cache, name.as_ref(), 1)),
    }
}

fn fastest<T>(items: &[T], mut call: impl FnMut(&T)) -> f64 {
    let rounds = items.chunks(CALLS).map(|chunk| {
        let begin = Instant::now();
        chunk.iter().for_each(&mut call);
        begin.elapsed().as_secs_f64() * 1e9 / chunk.len() as f64
    });
    rounds.fold(f64::INFINITY, f64::min)
}
