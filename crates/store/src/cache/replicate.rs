//! What other owners of a key do with a state that was decided elsewhere.

use api::cache::{ReplicaItem, ReplicaState};

use super::entry::Entry;
use super::key::{HashedKey, Key};
use super::record::Role;
use super::shard::Held;
use super::table::{Cache, LockedShard};
use super::tombstones::Tombstone;
use super::write::{Condition, Put};

/// What became of a state from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The key has it, now or already, or it fits in no bound of this node and the key has nothing.
    Done,
    /// The key has this newer version.
    Newer(u64),
}

impl Cache {
    /// Takes over a key's state from its primary, or from anybody where there is none: the newest version wins.
    ///
    /// An eviction drops the version that was evicted, and older ones, which it had overwritten. A state that is too large
    /// for this node, by its own bounds, leaves nothing.
    pub fn apply(&self, item: &ReplicaItem<'_>, role: Role, now_ms: u64) -> Applied {
        let (mut shard, key) = self.open_to_write(key_of(item));
        shard.live(key, now_ms);
        let held = shard.held(key);
        match (&item.state, held) {
            (ReplicaState::Evicted, Some(Held::Entry { version, .. })) if version <= item.version => {
                shard.remove(key);
            }
            (ReplicaState::Evicted, _) => {}
            (_, Some(held)) if held.version() > item.version => return Applied::Newer(held.version()),
            // Two writers gave one stamp. Wherever they meet, the delete stays: two nodes that merge must not swap.
            (_, Some(Held::Tombstone(tombstone))) if tombstone.version == item.version => {}
            _ => self.take(shard, key, item, role),
        }
        Applied::Done
    }

    /// Takes over a key's state from the node that has the right one, if the key has still what it was [listed](Self::list)
    /// with (`None` for nothing), or something older than that state. Whether it did.
    pub fn repair(&self, item: &ReplicaItem<'_>, listed: Option<u64>, role: Role, now_ms: u64) -> bool {
        let (mut shard, key) = self.open_to_write(key_of(item));
        shard.live(key, now_ms);
        let held = shard.held(key);
        let repairs = held.map(Held::listed) == listed || held.is_none_or(|held| held.version() < item.version);
        if repairs {
            self.take(shard, key, item, role);
        }
        repairs
    }

    fn take(&self, mut shard: LockedShard<'_>, key: HashedKey<'_>, item: &ReplicaItem<'_>, role: Role) {
        let version = item.version;
        match item.state {
            ReplicaState::Live {
                value,
                content_type,
                packing,
                lifetime,
                created,
            } => {
                let put = Put {
                    value,
                    content_type,
                    packing,
                    lifetime,
                    version,
                    condition: Condition::None,
                };
                let same = shard.peek(key).is_some_and(|(_, entry)| entry.is_of(&put));
                let place = if same {
                    shard.rehome(key, role)
                } else {
                    let entry = Entry::new(&put, created);
                    if self.fits(&shard, key, entry.len(), lifetime.expires_at_ms).is_err() {
                        shard.drop_key(key);
                        return;
                    }
                    Some(shard.insert(key, entry, role))
                };
                if let Some(place) = place {
                    self.settle(shard, place);
                }
            }
            ReplicaState::Deleted { at_ms, existed } => {
                shard.bury(key, Tombstone { version, at_ms, existed });
                self.settle_tombstones(shard);
            }
            ReplicaState::Evicted => {
                shard.drop_key(key);
            }
        }
    }
}

const fn key_of<'a>(item: &ReplicaItem<'a>) -> Key<'a> {
    Key {
        namespace: item.namespace,
        key: item.key,
    }
}
