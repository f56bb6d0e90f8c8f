//! Several masters that keep the control store themselves, whole and in one process, asked over HTTP.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests themselves do")]

mod access;
mod audit;
mod configs;
mod formation;
mod limits;
mod majority;
mod membership;
// The one of whole systems: what stands last can be used by nobody, and a copy would be a second way.
#[path = "../../../../tests/src/port.rs"]
#[expect(unreachable_pub, reason = "it is public in the crate whose file it is")]
mod port;
mod raw;
mod restore;
mod support;
