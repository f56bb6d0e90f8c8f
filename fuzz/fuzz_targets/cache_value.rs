//! Packed values of the cache: see `targets::cache_value`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::cache_value(data));
