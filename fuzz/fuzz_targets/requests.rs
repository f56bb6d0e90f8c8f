//! Heads of requests: see `targets::requests`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::requests(data));
