//! Times to live and points in time: see `targets::lifetimes`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::lifetimes(data));
