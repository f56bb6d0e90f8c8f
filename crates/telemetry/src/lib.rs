//! Logs and metrics: how every node is seen from outside.
//!
//! Each node owns an explicit [`prometheus::Registry`], so that many nodes live in one process without mixing figures.

mod context;
mod logs;
mod metrics;

pub use context::{Context, set_log_context};
pub use logs::{LogFormat, init_logs};
pub use metrics::{LATENCY_BUCKETS, Metrics, new_registry, render};
pub use prometheus::Registry;
