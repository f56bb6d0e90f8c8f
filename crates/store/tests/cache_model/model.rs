//! The simplest thing that could be right.

use std::collections::HashMap;

use api::cache::Lifetime;
use store::cache::{Applied, Condition, Counter, Deleted, Refusal, Role, Stored, Touch};

use crate::steps::{Listed, State, lifetime};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Live {
    pub(crate) value: Vec<u8>,
    pub(crate) version: u64,
    pub(crate) created: bool,
    pub(crate) lifetime: Lifetime,
    pub(crate) role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dead {
    pub(crate) version: u64,
    pub(crate) at_ms: u64,
    pub(crate) existed: bool,
}

/// Two maps, and no bounds.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) live: HashMap<usize, Live>,
    pub(crate) dead: HashMap<usize, Dead>,
}

impl Model {
    pub(crate) fn forget_expired(&mut self, now_ms: u64) {
        self.live
            .retain(|_, held| held.lifetime.expires_at_ms == 0 || held.lifetime.expires_at_ms > now_ms);
    }

    pub(crate) fn version(&self, key: usize) -> Option<u64> {
        let live = self.live.get(&key).map(|held| held.version);
        live.or(self.dead.get(&key).map(|held| held.version))
    }

    /// As lists show it.
    pub(crate) fn held(&self, key: usize) -> Option<u64> {
        let live = self.live.get(&key).map(|held| held.version);
        live.or(self.dead.get(&key).map(|held| held.version | 1 << 63))
    }

    pub(crate) fn listed(&self, key: usize, listed: Listed) -> Option<u64> {
        match listed {
            Listed::Nothing => None,
            Listed::Held => self.held(key),
            Listed::Another => Some(self.held(key).unwrap_or(0) + 1),
        }
    }

    pub(crate) fn drop(&mut self, key: usize) -> bool {
        self.live.remove(&key).is_some() | self.dead.remove(&key).is_some()
    }

    pub(crate) fn set(&mut self, key: usize, live: Live) {
        self.dead.remove(&key);
        self.live.insert(key, live);
    }

    pub(crate) fn bury(&mut self, key: usize, dead: Dead) {
        self.live.remove(&key);
        self.dead.insert(key, dead);
    }

    pub(crate) fn take(&mut self, key: usize, state: &State, version: u64, role: Role, now_ms: u64) {
        let at_ms = now_ms;
        let existed = true;
        match state {
            State::Live(value, ttl_ms) => {
                let (value, lifetime) = (value.clone(), lifetime(now_ms, *ttl_ms));
                // The same write keeps what it was answered with.
                let held = self
                    .live
                    .get(&key)
                    .filter(|held| held.version == version && held.value == value && held.lifetime == lifetime);
                let created = held.is_none_or(|held| held.created);
                self.set(
                    key,
                    Live {
                        value,
                        version,
                        created,
                        lifetime,
                        role,
                    },
                );
            }
            State::Deleted => self.bury(key, Dead { version, at_ms, existed }),
            State::Evicted => {
                self.drop(key);
            }
        }
    }

    pub(crate) fn admit(&self, key: usize, version: u64, condition: Condition) -> Result<Option<Live>, Refusal> {
        if let Some(held) = self.version(key).filter(|held| *held >= version) {
            return Err(Refusal::Stale { held });
        }
        let live = self.live.get(&key).cloned();
        let held = live.as_ref().map(|held| held.version);
        let holds = match condition {
            Condition::None => true,
            Condition::Absent => held.is_none(),
            Condition::Present => held.is_some(),
            Condition::Version(wanted) => held == Some(wanted),
        };
        if holds {
            Ok(live)
        } else {
            Err(Refusal::PreconditionFailed { held })
        }
    }

    /// What a put was answered with, if that is what the key holds.
    pub(crate) fn was_put(&self, key: usize, value: &[u8], lifetime: Lifetime, version: u64) -> Option<Stored> {
        let held = self.live.get(&key)?;
        let is_it = held.version == version && held.value == value && held.lifetime == lifetime;
        is_it.then_some(Stored {
            version,
            created: held.created,
        })
    }

    /// What a delete was answered with, if that is what the key was left with.
    pub(crate) fn was_deleted(&self, key: usize, version: u64) -> Option<Deleted> {
        let held = self.dead.get(&key).filter(|held| held.version == version)?;
        Some(Deleted { existed: held.existed })
    }

    pub(crate) fn put(
        &mut self,
        key: usize,
        value: &[u8],
        lifetime: Lifetime,
        version: u64,
        condition: Condition,
    ) -> Result<Stored, Refusal> {
        let created = self.admit(key, version, condition)?.is_none();
        self.set(
            key,
            Live {
                value: value.to_vec(),
                version,
                created,
                lifetime,
                role: Role::Primary,
            },
        );
        Ok(Stored { version, created })
    }

    pub(crate) fn touch(&mut self, key: usize, touch: Touch) -> Result<Option<Stored>, Refusal> {
        let Touch {
            lifetime,
            version,
            condition,
        } = touch;
        let touched = Ok(Some(Stored { version, created: false }));
        if !self.live.contains_key(&key) && matches!(condition, Condition::None | Condition::Absent) {
            return Ok(None);
        }
        if let Some(held) = self.admit(key, version, condition)? {
            self.set(
                key,
                Live {
                    version,
                    lifetime,
                    created: false,
                    role: Role::Primary,
                    ..held
                },
            );
        }
        touched
    }

    pub(crate) fn delete(&mut self, key: usize, version: u64, condition: Condition, at_ms: u64) -> Result<Deleted, Refusal> {
        let existed = self.admit(key, version, condition)?.is_some();
        self.bury(key, Dead { version, at_ms, existed });
        Ok(Deleted { existed })
    }

    pub(crate) fn incr(&mut self, key: usize, by: i64, version: u64) -> Result<Counter, Refusal> {
        let held = self.admit(key, version, Condition::None)?;
        let number = |held: &Live| std::str::from_utf8(&held.value).ok()?.parse::<i64>().ok();
        let current = held.as_ref().map_or(Some(0), number).ok_or(Refusal::NotAnInteger)?;
        let value = current.checked_add(by).ok_or(Refusal::Overflow)?;
        let lifetime = held.as_ref().map(|held| held.lifetime).unwrap_or_default();
        let created = held.is_none();
        self.set(
            key,
            Live {
                value: value.to_string().into_bytes(),
                version,
                created,
                lifetime,
                role: Role::Primary,
            },
        );
        Ok(Counter { value, version })
    }

    pub(crate) fn apply(&mut self, key: usize, state: &State, version: u64, role: Role, now_ms: u64) -> Applied {
        match (state, self.version(key)) {
            (State::Evicted, Some(held)) => {
                if held <= version {
                    self.live.remove(&key);
                }
            }
            (State::Evicted, None) => {}
            (_, Some(held)) if held > version => return Applied::Newer(held),
            (_, Some(held)) if held == version && self.dead.contains_key(&key) => {}
            _ => self.take(key, state, version, role, now_ms),
        }
        Applied::Done
    }
}
