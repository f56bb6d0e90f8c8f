//! Whole systems: real processes, real etcd, real NGINX, faults.

#![expect(clippy::unwrap_used, reason = "all of this is tests, also what is no #[test] function")]

mod auxiliaries;
mod bad_input;
mod cache_faults;
mod cache_memory;
mod cluster_cli;
mod docs;
mod durability;
mod encryption;
mod front_door;
mod identity;
mod job_faults;
mod jobs;
mod kv_histories;
mod leaders;
mod restarts;
mod secrets;
mod traces;
mod up;
