//! The whole state at one moment, in parts small enough to be written and read one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{History, Holding, State, Stored, charge};
use crate::types::{LeaseId, Revision};
use crate::user_keys::is_users;

/// Bytes of keys and values that one part carries, about.
const PART_BYTES: u64 = 256 * 1024;

/// A frozen copy; keys and values are shared with the live state, so that taking it is quick.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    revision: Revision,
    next_lease: i64,
    leases: Vec<(LeaseId, Duration)>,
    keys: BTreeMap<Arc<str>, Stored>,
}

/// A piece of an image, as it stands in a snapshot (postcard).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ImagePart {
    /// Counters; comes once, first.
    Counters {
        /// Revision of the store.
        revision: Revision,
        /// Identity of the next lease.
        next_lease: i64,
    },
    /// Leases with their full ttl.
    Leases(Vec<(LeaseId, Duration)>),
    /// Keys, in order.
    Keys(Vec<(Arc<str>, Stored)>),
}

impl ImagePart {
    /// Why no store can have made it, whatever its checksum says: its counters leave no room to count on.
    pub(crate) fn impossible(&self) -> Option<String> {
        /// No store counts so far: at a million writes a second it would take a hundred thousand years.
        const MOST: u64 = 1 << 62;
        let impossible = match self {
            Self::Counters { revision, next_lease } => *revision > MOST || next_lease.unsigned_abs() > MOST,
            Self::Leases(_) => false,
            Self::Keys(keys) => keys
                .iter()
                .any(|(_, stored)| stored.version > MOST || stored.mod_revision > MOST || stored.create_revision > MOST),
        };
        impossible.then(|| "its counters are beyond what any store reaches".to_owned())
    }
}

impl State {
    /// Freezes the state.
    pub(crate) fn image(&self) -> Image {
        Image {
            revision: self.revision,
            next_lease: self.next_lease,
            leases: self.leases().collect(),
            keys: self.keys.clone(),
        }
    }

    /// An empty state to [`State::absorb`] the parts of an image into.
    pub(crate) fn absorb(&mut self, part: ImagePart) {
        match part {
            ImagePart::Counters { revision, next_lease } => {
                self.revision = revision;
                self.next_lease = next_lease;
                self.history = History::new(revision + 1, self.history.limits());
            }
            ImagePart::Leases(leases) => {
                for (id, ttl) in leases {
                    self.leases.insert(
                        id,
                        Holding {
                            ttl,
                            keys: BTreeSet::new(),
                        },
                    );
                }
            }
            ImagePart::Keys(keys) => {
                for (key, stored) in keys {
                    self.absorb_key(key, stored);
                }
            }
        }
    }

    /// Rebuilds a state from the parts of an image, in their order.
    #[cfg(test)]
    pub(crate) fn restore(parts: impl IntoIterator<Item = ImagePart>, limits: super::HistoryLimits) -> Self {
        let mut state = Self::new(limits);
        parts.into_iter().for_each(|part| state.absorb(part));
        state
    }

    fn absorb_key(&mut self, key: Arc<str>, stored: Stored) {
        let charged = charge(&key, &stored.value);
        self.bytes += charged;
        if is_users(&key) {
            self.user_bytes += charged;
        }
        if let Some(holding) = stored.lease.and_then(|lease| self.leases.get_mut(&lease)) {
            holding.keys.insert(Arc::clone(&key));
        }
        self.keys.insert(key, stored);
    }
}

impl Image {
    /// The parts, in the order in which they are to be absorbed.
    pub(crate) fn parts(&self) -> impl Iterator<Item = ImagePart> {
        let counters = ImagePart::Counters {
            revision: self.revision,
            next_lease: self.next_lease,
        };
        let mut keys = self.keys.iter().peekable();
        let key_parts = std::iter::from_fn(move || {
            keys.peek()?;
            let mut part = Vec::new();
            let mut bytes = 0;
            while bytes < PART_BYTES
                && let Some((key, stored)) = keys.next()
            {
                bytes += charge(key, &stored.value);
                part.push((Arc::clone(key), stored.clone()));
            }
            Some(ImagePart::Keys(part))
        });
        [counters, ImagePart::Leases(self.leases.clone())]
            .into_iter()
            .chain(key_parts)
    }
}
