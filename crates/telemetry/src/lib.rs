//! Logs, metrics, traces and the audit log: how every node is seen from outside.
//!
//! Each node owns an explicit [`prometheus::Registry`], so that many nodes live in one process without mixing figures.

pub mod audit;
mod context;
mod logs;
mod metrics;
mod plain;
pub mod traces;

pub use context::{Context, set_log_context};
pub use logs::{LogFormat, init_logs};
pub use metrics::{LATENCY_BUCKETS, Metrics, new_registry, render};
pub use prometheus::Registry;
