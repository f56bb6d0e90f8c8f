//! The binary as people and scripts meet it: arguments in; output, messages and exit code out.
//!
//! A small server in this process plays the API, so that these tests need no cluster; `up` is tested with the real one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod auth;
mod backup;
mod cache;
mod certs;
mod cluster;
mod datasets;
mod fake;
mod general;
mod jobs;
mod kv;
mod nodes;
mod program;
#[cfg(feature = "up")]
mod up;
