//! A sandbox for whole systems: the shipped binaries as real processes on free ports, a real etcd, a real NGINX.
//!
//! What stays true:
//! - nothing outlives the test: processes die and directories go when the [`Sandbox`] is dropped, on a panic too;
//! - tests run side by side: every port is reserved over all test processes of the machine;
//! - nobody sleeps and hopes: [`eventually`] waits for a condition, to a deadline, and says what it saw last;
//! - a failed test shows the end of every node's log.

mod binary;
mod builder;
mod capture;
mod certificates;
mod collector;
mod etcd;
mod http;
mod jobs;
mod metrics;
pub mod network;
mod nginx;
mod node;
mod process;
pub mod raw;
mod records;
mod relay;
mod ring;
pub mod sample;
mod sandbox;
pub mod soak;
mod wait;
pub mod workload;

pub use binary::binary;
pub use builder::Builder;
pub use capture::{Capture, Captured};
pub use certificates::{Certificates, Certified};
pub use collector::{Collector, SeenSpan};
pub use control::conformance::Port;
pub use etcd::Etcd;
pub use http::{Answer, Api, Request};
pub use metrics::Metrics;
pub use nginx::Nginx;
pub use node::Node;
pub use process::Process;
pub use records::{Record, Records};
pub use sandbox::Sandbox;
pub use wait::eventually;
