//! What one namespace may have of the cluster.

/// Bounds of each namespace. What is over one is refused with `rate_limited`, and may be sent again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Jobs that wait.
    pub queued_jobs: usize,
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
    pub(super) fn refuses(&self, namespace: &str, queued: usize, stored: Stored) -> Option<String> {
        let name = if namespace.is_empty() {
            "the default namespace".to_owned()
        } else {
            format!("namespace {namespace}")
        };
        if queued >= self.queued_jobs {
            return Some(format!(
                "{name} has {queued} jobs waiting, and may have {}: submit again when some have run, or cancel some",
                self.queued_jobs
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
