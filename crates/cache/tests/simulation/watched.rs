//! A value that is waited for. Whoever waits first is woken first, unlike with a watch channel: a seed must be repeatable.

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

/// A value, and all who wait for another one.
#[derive(Debug, Default)]
pub(crate) struct Watched<T> {
    value: Mutex<T>,
    changes: Notify,
}

impl<T> Watched<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            changes: Notify::new(),
        }
    }

    pub(crate) fn borrow(&self) -> MutexGuard<'_, T> {
        self.value.lock()
    }

    pub(crate) fn modify(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.value.lock());
        self.changes.notify_waiters();
    }

    /// Returns once `holds` is true of it.
    pub(crate) async fn until(&self, mut holds: impl FnMut(&T) -> bool) {
        loop {
            let changed = self.changes.notified();
            if holds(&self.value.lock()) {
                return;
            }
            changed.await;
        }
    }
}
