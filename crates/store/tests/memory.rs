//! The byte bound is a bound on memory, not on payload: what is accounted for covers what the process really takes.
#![cfg(target_os = "linux")]

use store::cache::{Bounds, Cache, Condition, Key, Put};

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    statm
        .split_whitespace()
        .nth(1)
        .expect("resident pages")
        .parse::<usize>()
        .expect("a number")
        * 4096
}

/// Resident over accounted memory. The cache is handed back: freed memory would be used again, and not show, in the next measurement.
fn measure(value_len: usize, expires: bool) -> (Cache, f64) {
    let cache = Cache::new(Bounds {
        entries: usize::MAX,
        bytes: usize::MAX,
    });
    let before = resident_bytes();
    let value = vec![7u8; value_len];
    for n in 0..150_000u64 {
        let key = format!("user:{n:08}");
        let expires_at_ms = if expires { 1_000_000 + n % 1000 } else { 0 };
        cache
            .put(
                Key::plain(&key),
                Put {
                    value: &value,
                    content_type: "",
                    expires_at_ms,
                    version: n + 1,
                    condition: Condition::None,
                },
                0,
            )
            .expect("no bounds");
        // The first read makes the value shared, which takes memory too.
        assert!(cache.get(Key::plain(&key), 0).is_some());
    }
    let grown = resident_bytes() - before;
    let ratio = grown as f64 / cache.stats().bytes as f64;
    (cache, ratio)
}

#[test]
fn entries_take_no_more_memory_than_is_accounted() {
    let kinds = [(100, false), (100, true), (1_000, false)];
    let measured: Vec<(Cache, f64)> = kinds
        .iter()
        .map(|(value_len, expires)| measure(*value_len, *expires))
        .collect();
    for ((value_len, expires), (_, ratio)) in kinds.iter().zip(&measured) {
        println!("resident/accounted = {ratio:.3} for {value_len} B values, expiring: {expires}");
        assert!(
            (0.5..1.1).contains(ratio),
            "resident/accounted = {ratio:.3} for {value_len} B values, expiring: {expires}"
        );
    }
}
