//! Every number the scheduler decides by, named and in one place.

use crate::Millis;

/// How patient the scheduler is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Attempts of a task when the job does not say.
    pub max_attempts: u32,
    /// Pause before the second attempt; doubles with each further one.
    pub backoff_base: Millis,
    /// Longest pause between attempts.
    pub backoff_cap: Millis,
    /// How long a task that failed on a worker is kept for the others, when there are others.
    pub elsewhere_wait: Millis,
    /// Silence after which a worker is lost.
    pub worker_timeout: Millis,
    /// How long work that a worker does not list as running is believed to be on its way to it, or its report to us.
    pub missing_grace: Millis,
    /// How long jobs wait when there is no worker at all.
    pub no_worker_timeout: Millis,
    /// Longest run of a job that does not say, from acceptance.
    pub job_timeout: Millis,
    /// How often the inputs of one task may be found missing before its job fails.
    pub max_fetch_failures: u32,
    /// How often one task may be started for whatever reason before its job fails.
    pub max_starts: u32,
    /// Most tasks of a job, over all its stages.
    pub max_tasks: u32,
    /// Jobs of one priority or higher that share the slots in turn; further ones wait in the queue, so that many jobs submitted
    /// at once end one after another and not all at the very end.
    pub max_active: usize,
    /// Jobs of one namespace that share the slots; further ones wait in the queue.
    pub max_active_per_namespace: usize,
    /// How long a task whose input lies at one place is kept for workers there.
    pub locality_wait: Millis,
    /// Input bytes, at one place, from which it matters where a task runs.
    pub locality_bytes: u64,
    /// After a change of leader: how long workers have to say what they have in hand, before it is given to others.
    pub resume_grace: Millis,
    /// After all known workers have polled: how long reports that were under way have to arrive.
    pub resume_settle: Millis,
    /// Share of its memory, in percent, above which a busy worker gets no more work.
    pub memory_percent: u8,
    /// Tasks that fail on a worker and succeed elsewhere, within [`Policy::blame_window`], before it is left out.
    pub blame_limit: usize,
    /// Time within which they count.
    pub blame_window: Millis,
    /// How long such a worker gets nothing.
    pub shun_for: Millis,
    /// Bounds of the partitions that planning aims at: as many as there are slots, within these.
    pub partitions: (u32, u32),
    /// Largest result that may ride in the commit, bytes.
    pub max_inline_bytes: u64,
    /// How long a worker is told again to forget a job.
    pub forget_for: Millis,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_attempts: 4,
            backoff_base: 100,
            backoff_cap: 5_000,
            elsewhere_wait: 3_000,
            worker_timeout: 10_000,
            missing_grace: 5_000,
            no_worker_timeout: 60_000,
            job_timeout: 3_600_000,
            max_fetch_failures: 32,
            max_starts: 1_000,
            max_tasks: 20_000,
            max_active: 16,
            max_active_per_namespace: usize::MAX,
            locality_wait: 100,
            locality_bytes: 256 * 1024,
            resume_grace: 3_000,
            resume_settle: 1_000,
            memory_percent: 90,
            blame_limit: 3,
            blame_window: 60_000,
            shun_for: 60_000,
            partitions: (2, 64),
            max_inline_bytes: 1024 * 1024,
            forget_for: 30_000,
        }
    }
}

impl Policy {
    /// Pause after the `failures`-th failure, 1-based.
    #[must_use]
    pub fn backoff(&self, failures: u32) -> Millis {
        let doublings = failures.saturating_sub(1).min(32);
        self.backoff_base.saturating_mul(1 << doublings).min(self.backoff_cap)
    }
}

#[cfg(test)]
mod tests {
    use super::Policy;

    #[test]
    fn backoff_doubles_up_to_its_cap() {
        let policy = Policy::default();
        let pauses: Vec<_> = (1..=8).map(|n| policy.backoff(n)).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(policy.backoff(u32::MAX), 5_000);
    }
}
