//! Frames of a connection between nodes: see `targets::frames`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::frames(data));
