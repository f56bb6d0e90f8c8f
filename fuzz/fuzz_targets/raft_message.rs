//! What masters say to each other: see `targets::raft_message`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::raft_message(data));
