//! Snapshots of the control store, and their parts with checksums that are right: see `targets::raft_snapshot`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::raft_snapshot(data));
