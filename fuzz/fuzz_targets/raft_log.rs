//! The log of the control store, and its records with checksums that are right: see `targets::raft_log`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::raft_log(data));
