//! The work a worker has in hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::JobId;
use api::task::WorkId;
use lifecycle::CancellationToken;
use parking_lot::Mutex;
use prometheus::IntGauge;
use query::TaskProgress;

use super::job_of;

/// The work a worker has in hand, from its start until its report is durable.
#[derive(Debug)]
pub(crate) struct Running {
    work: Mutex<BTreeMap<WorkId, Entry>>,
    in_use: IntGauge,
}

#[derive(Debug)]
struct Entry {
    cancel: CancellationToken,
    progress: Arc<TaskProgress>,
    /// Still computing, and so holding a slot. Work that only waits for its report to be taken holds none: listing it in a poll
    /// after the leader has the report would take its slot a second time.
    computing: bool,
}

impl Running {
    pub(crate) const fn new(in_use: IntGauge) -> Self {
        Self {
            work: Mutex::new(BTreeMap::new()),
            in_use,
        }
    }

    /// Takes in new work; none when it is there already.
    pub(crate) fn begin(&self, work: WorkId) -> Option<(Arc<TaskProgress>, CancellationToken)> {
        let mut all = self.work.lock();
        if all.contains_key(&work) {
            return None;
        }
        let (progress, cancel) = (Arc::<TaskProgress>::default(), CancellationToken::new());
        all.insert(
            work,
            Entry {
                cancel: cancel.clone(),
                progress: Arc::clone(&progress),
                computing: true,
            },
        );
        self.in_use.inc();
        Some((progress, cancel))
    }

    /// The work holds no slot any more.
    pub(crate) fn computed(&self, work: &WorkId) {
        if let Some(entry) = self.work.lock().get_mut(work)
            && std::mem::replace(&mut entry.computing, false)
        {
            self.in_use.dec();
        }
    }

    /// The work is over.
    pub(crate) fn end(&self, work: &WorkId) {
        self.computed(work);
        self.work.lock().remove(work);
    }

    /// Work that holds slots, and how far it is.
    pub(crate) fn list(&self) -> (Vec<WorkId>, Vec<api::task::TaskProgress>) {
        let work = self.work.lock();
        let computing = work.iter().filter(|(_, entry)| entry.computing);
        let described = computing.map(|(work, entry)| {
            let progress = api::task::TaskProgress {
                rows: entry.progress.rows(),
                bytes: entry.progress.bytes(),
                spilled_bytes: entry.progress.spilled_bytes(),
            };
            (*work, progress)
        });
        described.unzip()
    }

    pub(crate) fn cancel(&self, work: &WorkId) {
        if let Some(entry) = self.work.lock().get(work) {
            entry.cancel.cancel();
        }
    }

    pub(crate) fn cancel_job(&self, job: JobId) {
        self.work
            .lock()
            .iter()
            .filter(|(work, _)| job_of(work) == job)
            .for_each(|(_, entry)| entry.cancel.cancel());
    }

    pub(crate) fn cancel_all(&self) {
        self.work.lock().values().for_each(|entry| entry.cancel.cancel());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_holds_its_slot_only_while_it_computes_and_can_be_cancelled_until_it_ends() {
        let running = Running::new(IntGauge::new("in_use", "in use").unwrap());
        let work = WorkId::Plan(JobId::new_now(), 0);
        let (_, cancel) = running.begin(work).unwrap();
        assert!(running.begin(work).is_none(), "the same work twice");
        assert_eq!(running.list().0, [work]);
        running.computed(&work);
        assert!(running.list().0.is_empty());
        assert_eq!(running.in_use.get(), 0);
        running.cancel_job(job_of(&work));
        assert!(cancel.is_cancelled());
        running.end(&work);
        assert!(running.begin(work).is_some());
    }
}
