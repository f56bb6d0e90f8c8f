//! What the engine runs on: tasks, chance, channels, and the clock of leases. A simulation takes its place in tests, where a seed decides.

#[cfg(not(test))]
pub(crate) use openraft_rt_tokio::TokioRuntime as Runtime;

#[cfg(test)]
pub(crate) use super::tests::simulation::runtime::{Runtime, new_id, now};

/// A random id.
#[cfg(not(test))]
pub(crate) fn new_id() -> uuid::Uuid {
    uuid::Uuid::new_v4()
}

/// Now, by this master's monotonic clock.
#[cfg(not(test))]
pub(crate) fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
