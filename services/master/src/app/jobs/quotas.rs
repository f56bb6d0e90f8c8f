//! What one namespace may have of the cluster.

use jobs::NamespaceLoad;

/// Bounds of each namespace. What is over one is refused with `rate_limited`, and may be sent again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Jobs that wait.
    pub queued_jobs: usize,
    /// Bytes of what was submitted with them: the leader holds it in memory.
    pub queued_bytes: usize,
    /// Jobs that run at once; further ones wait.
    pub running_jobs: usize,
    /// Ended jobs that are kept.
    pub stored_jobs: usize,
    /// Bytes of their results.
    pub stored_bytes: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            queued_jobs: 10_000,
            queued_bytes: 256 << 20,
            running_jobs: 1_000,
            stored_jobs: 100_000,
            stored_bytes: 100 << 30,
        }
    }
}

/// Ended jobs of one namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) jobs: usize,
    pub(super) bytes: u64,
}

impl Quotas {
    /// Why one more job is refused, and what to do.
    pub(super) fn refuses(&self, namespace: &str, load: NamespaceLoad, stored: Stored) -> Option<String> {
        let name = if namespace.is_empty() {
            "the default namespace".to_owned()
        } else {
            format!("namespace {namespace}")
        };
        if load.queued >= self.queued_jobs || load.queued_bytes >= self.queued_bytes {
            return Some(format!(
                "{name} has {} jobs waiting, of {} bytes, and may have {}, of {} bytes: submit again when some have run, or cancel some",
                load.queued, load.queued_bytes, self.queued_jobs, self.queued_bytes
            ));
        }
        if stored.jobs >= self.stored_jobs || stored.bytes >= self.stored_bytes {
            return Some(format!(
                "{name} keeps {} ended jobs with {} bytes of results, and may keep {} with {}: submit with a shorter result_ttl, and \
                 again when some are gone",
                stored.jobs, stored.bytes, self.stored_jobs, self.stored_bytes
            ));
        }
        None
    }
}
