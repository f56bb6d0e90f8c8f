//! The scheduler from the outside: polls and reports in, orders and commands out.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod bench;
mod faults;
mod life;
mod memory;
mod places;
mod resume;
mod simulation;
mod speed;
mod turns;
mod twins;
