//! Tables of namespaces with a quota.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::namespaces::{NamespaceId, Quota};
use super::super::tally::Size;
use super::Shard;

impl Shard {
    /// Gives a namespace a quota, or another one. Its entries come under it as they are [rehomed](Shard::rehome).
    pub(in super::super) fn set_quota(&mut self, id: NamespaceId, quota: &Arc<Quota>) {
        if let Some((held, _)) = self.quotas.get_mut(&id) {
            *held = Arc::clone(quota);
            let stats = *self.stats_of(id);
            let size = Size {
                count: stats.entries.cast_signed(),
                bytes: stats.bytes.cast_signed(),
            };
            self.take_quota(id, size);
        } else {
            self.quotas.insert(id, (Arc::clone(quota), self.policy.table()));
        }
    }

    pub(in super::super) fn quota(&self, id: NamespaceId) -> Option<&Arc<Quota>> {
        self.quotas.get(&id).map(|(quota, _)| quota)
    }

    pub(super) fn take_quota(&self, id: NamespaceId, size: Size<isize>) {
        if let Some((quota, _)) = self.quotas.get(&id) {
            // Two's complement: adding a negative number wraps to the right sum.
            quota.entries.fetch_add(size.count.cast_unsigned(), Ordering::Relaxed);
            quota.bytes.fetch_add(size.bytes.cast_unsigned(), Ordering::Relaxed);
        }
    }
}
