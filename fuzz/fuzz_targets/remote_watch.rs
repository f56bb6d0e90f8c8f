//! Watches of nodes that keep no control store: see `targets::remote_watch`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::remote_watch(data));
