//! What the primary of a key does, under the lock of the key's shard from the condition to the effect.

use super::entry::{Entry, Hit, MAX_CONTENT_TYPE_BYTES};
use super::key::{HashedKey, Key, StoredKey};
use super::record::{Record, Role};
use super::shard::{Held, Shard};
use super::table::Cache;
use super::tombstones::Tombstone;
use super::write::{Condition, Counter, Deleted, Put, Refusal, Stored, Touch, holds};

impl Cache {
    /// The value of a key, if it holds one that has not expired.
    #[must_use]
    pub fn get(&self, key: Key<'_>, now_ms: u64) -> Option<Hit> {
        let (mut shard, key) = self.open(key);
        shard.read(key, now_ms).map(Hit)
    }

    /// Writes a value.
    ///
    /// # Errors
    /// [`Refusal::PreconditionFailed`], [`Refusal::Stale`], [`Refusal::TooLarge`], [`Refusal::ContentTypeTooLong`]; nothing
    /// is changed then.
    pub fn put(&self, key: Key<'_>, put: Put<'_>, now_ms: u64) -> Result<Stored, Refusal> {
        if put.content_type.len() > MAX_CONTENT_TYPE_BYTES {
            return Err(Refusal::ContentTypeTooLong {
                bytes: put.content_type.len(),
            });
        }
        let (mut shard, key) = self.open_to_write(key);
        let len = put.content_type.len() + put.value.len();
        self.fits(&shard, key, len, put.lifetime.expires_at_ms)?;
        let created = admit(&mut shard, key, put.version, put.condition, now_ms)?.is_none();
        let place = shard.insert(key, Entry::new(&put, created), Role::Primary);
        self.settle(shard, place);
        Ok(Stored {
            version: put.version,
            created,
        })
    }

    /// The same for a write that may have been carried out before under this stamp: if it was, and nothing came since, the
    /// answer is that of the first time.
    ///
    /// # Errors
    /// As [`Cache::put`].
    pub fn put_again(&self, key: Key<'_>, put: Put<'_>, now_ms: u64) -> Result<Stored, Refusal> {
        let (shard, hashed) = self.open(key);
        let first = shard
            .peek(hashed)
            .filter(|(_, entry)| entry.may_be_of(&put))
            .map(|(_, entry)| Stored {
                version: entry.version,
                created: entry.created,
            });
        drop(shard);
        first.map_or_else(|| self.put(key, put, now_ms), Ok)
    }

    /// Gives the value that is there another life time; `None` when there is none. As with [`Cache::incr`], a stamp that is held
    /// counts as another write's: a life time does not tell which write gave it.
    ///
    /// # Errors
    /// [`Refusal::PreconditionFailed`], [`Refusal::Stale`], [`Refusal::TooLarge`] (by what it takes to expire); nothing is
    /// changed then.
    pub fn touch(&self, key: Key<'_>, touch: Touch, now_ms: u64) -> Result<Option<Stored>, Refusal> {
        let (mut shard, key) = self.open_to_write(key);
        let touched = Stored {
            version: touch.version,
            created: false,
        };
        let held = shard.live(key, now_ms).cloned();
        if held.is_none() && holds(touch.condition, None) {
            return Ok(None);
        }
        admit(&mut shard, key, touch.version, touch.condition, now_ms)?;
        let Some(entry) = held else { return Ok(None) };
        self.fits(&shard, key, entry.len(), touch.lifetime.expires_at_ms)?;
        let place = shard.insert(key, entry.touched(touch.version, touch.lifetime), Role::Primary);
        self.settle(shard, place);
        Ok(Some(touched))
    }

    /// Removes a value, and leaves a tombstone, whether there was a value or not.
    ///
    /// # Errors
    /// [`Refusal::PreconditionFailed`], [`Refusal::Stale`]; nothing is changed then.
    pub fn delete(&self, key: Key<'_>, version: u64, condition: Condition, now_ms: u64) -> Result<Deleted, Refusal> {
        let (mut shard, key) = self.open_to_write(key);
        let existed = admit(&mut shard, key, version, condition, now_ms)?.is_some();
        let at_ms = now_ms;
        shard.bury(key, Tombstone { version, at_ms, existed });
        self.settle_tombstones(shard);
        Ok(Deleted { existed })
    }

    /// The same for a delete that may have been carried out before under this stamp: if it was, and nothing came since, the
    /// answer is that of the first time.
    ///
    /// # Errors
    /// As [`Cache::delete`].
    pub fn delete_again(&self, key: Key<'_>, version: u64, condition: Condition, now_ms: u64) -> Result<Deleted, Refusal> {
        let (shard, hashed) = self.open(key);
        let first = shard.tombstones.get(hashed).filter(|held| held.version == version);
        let first = first.map(|Tombstone { existed, .. }| Deleted { existed: *existed });
        drop(shard);
        first.map_or_else(|| self.delete(key, version, condition, now_ms), Ok)
    }

    /// Adds to a decimal integer; an absent key counts as 0. Content type and life time stay.
    ///
    /// Unlike a value, a sum does not tell which write made it, so a stamp that is held already counts as somebody else's:
    /// better to ask for another stamp than to lose an increment. Who does not know the outcome must not send it again.
    ///
    /// # Errors
    /// [`Refusal::NotAnInteger`], [`Refusal::Overflow`], [`Refusal::Stale`], [`Refusal::TooLarge`]; nothing is changed then.
    pub fn incr(&self, key: Key<'_>, by: i64, version: u64, now_ms: u64) -> Result<Counter, Refusal> {
        let (mut shard, key) = self.open_to_write(key);
        admit(&mut shard, key, version, Condition::None, now_ms)?;
        let held = shard.live(key, now_ms).cloned();
        let current = held.as_ref().map_or(Ok(0), Entry::integer)?;
        let value = current.checked_add(by).ok_or(Refusal::Overflow)?;
        let text = value.to_string();
        let put = Put {
            value: text.as_bytes(),
            content_type: held.as_ref().map_or("", Entry::content_type),
            packing: api::cache::Packing::Plain,
            lifetime: held.as_ref().map(|entry| entry.lifetime).unwrap_or_default(),
            version,
            condition: Condition::None,
        };
        self.fits(&shard, key, put.content_type.len() + text.len(), put.lifetime.expires_at_ms)?;
        let place = shard.insert(key, Entry::new(&put, held.is_none()), Role::Primary);
        self.settle(shard, place);
        Ok(Counter { value, version })
    }

    /// What a key has now, entry (expired, as long as it is held) or tombstone: what replicas are given after a write.
    ///
    /// `None` right after a write means that its entry has been evicted already.
    #[must_use]
    pub fn record(&self, key: Key<'_>) -> Option<Record> {
        let (shard, key) = self.open(key);
        shard.record(&StoredKey::from(key))
    }
}

/// Whether a write may be applied over what is held; the version of the live entry.
///
/// A stamp that is held is another write's: two writers may give the same one. That it is too old comes first: a condition
/// may fail because the write itself was applied, and then overwritten.
fn admit(shard: &mut Shard, key: HashedKey<'_>, version: u64, condition: Condition, now_ms: u64) -> Result<Option<u64>, Refusal> {
    let live = shard.live(key, now_ms).map(|entry| entry.version);
    let newest = live.or_else(|| shard.held(key).map(Held::version));
    match newest {
        Some(held) if held >= version => Err(Refusal::Stale { held }),
        _ if !holds(condition, live) => Err(Refusal::PreconditionFailed { held: live }),
        _ => Ok(live),
    }
}
