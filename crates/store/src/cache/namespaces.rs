//! Namespaces by number: what is counted for each, and what each may hold.
//!
//! A number is given to a namespace with its first write and never to another one, so a shard counts in a plain list. Only
//! so many namespaces get a number of their own, or an endless series of names would be an endless list; the rest share
//! one. A namespace with a quota always has its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

/// So many namespaces are counted apart; beyond them only those with a quota.
const MAX_TRACKED: usize = 256;

/// Under which the rest is counted. A namespace of this name is among them, and can have no quota.
const OTHERS: &str = "/others";

/// A namespace, or all that have no number of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NamespaceId(u16);

impl NamespaceId {
    pub(super) const DEFAULT: Self = Self(0);
    pub(super) const OTHERS: Self = Self(1);

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How much one namespace may hold on this node, in entries it is the primary of; `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuotaBounds {
    /// Entries.
    pub entries: Option<usize>,
    /// Bytes with keys, content types and bookkeeping.
    pub bytes: Option<usize>,
}

/// What a namespace has done so far, and its current size, counted where its entries are primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NamespaceStats {
    /// Entries held.
    pub entries: usize,
    /// Memory they take.
    pub bytes: usize,
    /// Reads that found a value.
    pub hits: u64,
    /// Reads that found none.
    pub misses: u64,
    /// Entries dropped to stay within a bound.
    pub evictions: u64,
}

impl std::ops::AddAssign<&Self> for NamespaceStats {
    fn add_assign(&mut self, other: &Self) {
        self.entries += other.entries;
        self.bytes += other.bytes;
        self.hits += other.hits;
        self.misses += other.misses;
        self.evictions += other.evictions;
    }
}

/// A quota and how much of it is taken, over all shards.
#[derive(Debug)]
pub(super) struct Quota {
    pub(super) bounds: QuotaBounds,
    pub(super) entries: AtomicUsize,
    pub(super) bytes: AtomicUsize,
}

impl Quota {
    pub(super) fn new(bounds: QuotaBounds) -> Self {
        Self {
            bounds,
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    pub(super) fn is_exceeded(&self) -> bool {
        let over = |bound: Option<usize>, held: &AtomicUsize| bound.is_some_and(|bound| held.load(Ordering::Relaxed) > bound);
        over(self.bounds.entries, &self.entries) || over(self.bounds.bytes, &self.bytes)
    }
}

/// Numbers of namespaces. Reads take no lock.
pub(super) struct Namespaces {
    current: ArcSwap<Numbers>,
    registration: Mutex<()>,
}

#[derive(Clone)]
struct Numbers {
    ids: HashMap<Arc<str>, NamespaceId>,
    names: Vec<Arc<str>>,
}

impl Namespaces {
    pub(super) fn new() -> Self {
        let names: Vec<Arc<str>> = vec![Arc::from(""), Arc::from(OTHERS)];
        Self {
            current: ArcSwap::from_pointee(Numbers {
                ids: names
                    .iter()
                    .cloned()
                    .zip([NamespaceId::DEFAULT, NamespaceId::OTHERS])
                    .collect(),
                names,
            }),
            registration: Mutex::new(()),
        }
    }

    /// The number of a namespace that may have none yet.
    pub(super) fn find(&self, name: &str) -> NamespaceId {
        if name.is_empty() {
            return NamespaceId::DEFAULT;
        }
        self.current.load().ids.get(name).copied().unwrap_or(NamespaceId::OTHERS)
    }

    /// The number of a namespace, which it is given if there is one left.
    pub(super) fn number(&self, name: &str) -> NamespaceId {
        let found = self.find(name);
        if found != NamespaceId::OTHERS || self.current.load().names.len() >= MAX_TRACKED + 2 {
            return found;
        }
        let _registering = self.registration.lock();
        let mut numbers = Numbers::clone(&self.current.load());
        let id = numbers.number(name, MAX_TRACKED + 2);
        self.current.store(Arc::new(numbers));
        id
    }

    /// Numbers namespaces that get a quota, and makes the quotas.
    pub(super) fn quotas(&self, bounds: impl IntoIterator<Item = (Arc<str>, QuotaBounds)>) -> Vec<(NamespaceId, Arc<Quota>)> {
        let _registering = self.registration.lock();
        let mut numbers = Numbers::clone(&self.current.load());
        let quotas = bounds
            .into_iter()
            .map(|(name, bounds)| (numbers.number(&name, usize::from(u16::MAX)), Arc::new(Quota::new(bounds))))
            .filter(|(id, _)| *id != NamespaceId::OTHERS)
            .collect();
        self.current.store(Arc::new(numbers));
        quotas
    }

    /// All names, by number.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.current.load().names.clone()
    }
}

impl Numbers {
    fn number(&mut self, name: &str, limit: usize) -> NamespaceId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let Some(id) = u16::try_from(self.names.len()).ok().filter(|id| usize::from(*id) < limit) else {
            return NamespaceId::OTHERS;
        };
        let name: Arc<str> = Arc::from(name);
        self.names.push(Arc::clone(&name));
        self.ids.insert(name, NamespaceId(id));
        NamespaceId(id)
    }
}
