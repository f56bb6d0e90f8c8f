//! Trusted proxies and what they say: see `targets::addresses`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::addresses(data));
