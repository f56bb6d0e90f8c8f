//! Operations of the cache between nodes: see `targets::cache_wire`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::cache_wire(data));
