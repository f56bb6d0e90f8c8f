//! Certificates on disk, and handshakes over loopback connections.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests themselves do")]

mod handshakes;
mod identities;
mod reloads;
