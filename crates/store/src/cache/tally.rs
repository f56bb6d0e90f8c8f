//! How much is held: by one shard since it was last asked, and by all of them.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::record::Role;

/// A number of things and the bytes they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Size<N> {
    pub(super) count: N,
    pub(super) bytes: N,
}

/// Change of the totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) primaries: Size<isize>,
    pub(super) replicas: Size<isize>,
    pub(super) tombstones: Size<isize>,
    /// Changes that wait to be taken.
    pub(super) changes: isize,
}

impl Tally {
    pub(super) fn of(&mut self, role: Role) -> &mut Size<isize> {
        match role {
            Role::Primary => &mut self.primaries,
            Role::Replica => &mut self.replicas,
        }
    }
}

impl Size<isize> {
    pub(super) fn gained(&mut self, bytes: usize) {
        *self += Self {
            count: 1,
            bytes: bytes.cast_signed(),
        };
    }

    pub(super) fn lost(&mut self, bytes: usize) {
        *self += Self {
            count: -1,
            bytes: -bytes.cast_signed(),
        };
    }
}

impl AddAssign for Size<isize> {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }
}

/// The sum over all shards.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) primaries: Total,
    pub(super) replicas: Total,
    pub(super) tombstones: Total,
    pub(super) changes: AtomicUsize,
}

#[derive(Debug, Default)]
pub(super) struct Total {
    count: AtomicUsize,
    bytes: AtomicUsize,
}

impl Totals {
    pub(super) fn add(&self, tally: &Tally) {
        self.primaries.add(tally.primaries);
        self.replicas.add(tally.replicas);
        self.tombstones.add(tally.tombstones);
        if tally.changes != 0 {
            self.changes.fetch_add(tally.changes.cast_unsigned(), Ordering::Relaxed);
        }
    }

    pub(super) fn entries(&self) -> usize {
        self.primaries.get().count + self.replicas.get().count
    }

    pub(super) fn bytes(&self) -> usize {
        self.primaries.get().bytes + self.replicas.get().bytes + self.tombstones.get().bytes
    }
}

impl Total {
    /// Two's complement: adding a negative change wraps to the right sum.
    fn add(&self, change: Size<isize>) {
        if change.count != 0 {
            self.count.fetch_add(change.count.cast_unsigned(), Ordering::Relaxed);
        }
        if change.bytes != 0 {
            self.bytes.fetch_add(change.bytes.cast_unsigned(), Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self) -> Size<usize> {
        Size {
            count: self.count.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}
