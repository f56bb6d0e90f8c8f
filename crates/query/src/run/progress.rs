//! How far a task is, and what it has cost, while it runs and after.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use api::job::Cost;
use datafusion::physical_plan::ExecutionPlan;

use super::meter::Meter;

/// What a running task has done so far.
#[derive(Debug, Default)]
pub struct TaskProgress {
    rows: AtomicU64,
    bytes: AtomicU64,
    meter: Arc<Meter>,
    /// What runs, for the figures of its operators.
    plan: OnceLock<Arc<dyn ExecutionPlan>>,
}

impl TaskProgress {
    /// Rows written.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes of rows written, as they lie in memory.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes that went to disk because memory was short.
    #[must_use]
    pub fn spilled_bytes(&self) -> u64 {
        self.plan.get().map_or(0, spilled)
    }

    /// What it cost so far; what it hands to the next stage is not known here.
    #[must_use]
    pub fn cost(&self) -> Cost {
        Cost {
            cpu_ms: self.meter.cpu_ms(),
            bytes_read: self.meter.bytes_read(),
            bytes_shuffled: 0,
            bytes_spilled: self.spilled_bytes(),
            peak_memory: self.meter.peak_memory(),
        }
    }

    pub(super) const fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    pub(super) fn runs(&self, plan: &Arc<dyn ExecutionPlan>) {
        // A task runs one plan, once.
        let _ = self.plan.set(Arc::clone(plan));
    }

    pub(super) fn add(&self, rows: usize, bytes: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

fn spilled(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let own = plan.metrics().and_then(|metrics| metrics.spilled_bytes()).unwrap_or(0) as u64;
    own + plan.children().into_iter().map(spilled).sum::<u64>()
}
