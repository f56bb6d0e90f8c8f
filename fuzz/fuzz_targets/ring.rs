//! Records of the ring: see `targets::ring`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::ring(data));
