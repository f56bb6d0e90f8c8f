//! Several masters that keep the control store themselves, whole and in one process, asked over HTTP.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests themselves do")]

mod access;
mod audit;
mod configs;
mod formation;
mod isolation;
mod limits;
mod majority;
mod membership;
mod player;
mod raw;
mod restore;
mod support;
