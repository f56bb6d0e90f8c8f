//! Dropping what is over before somebody asks for it.

use std::sync::atomic::Ordering;

use super::table::Cache;

/// Most things dropped while one shard is locked.
const STEP: usize = 128;

impl Cache {
    /// Drops up to about `limit` expired entries and old tombstones that are not [kept](Self::keep), each shard locked only
    /// for a few at a time, and says how many there were. A result of `limit` or more means that there may be more.
    pub fn sweep(&self, now_ms: u64, limit: usize) -> usize {
        let mut swept = 0;
        let mut idle = 0;
        while swept < limit && idle < self.shards.len() {
            let mut shard = self.lock_at(self.sweep_hand.fetch_add(1, Ordering::Relaxed));
            let room = STEP.min(limit - swept);
            let mut step = shard.sweep(now_ms, room);
            step += shard.sweep_tombstones(now_ms, room - step);
            drop(shard);
            swept += step;
            idle = if step == 0 { idle + 1 } else { 0 };
        }
        swept
    }
}
