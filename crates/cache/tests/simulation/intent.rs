//! What clients want: reads, writes of all kinds, on a few hot keys and on many others.

use api::cache::{Condition, Lifetime};
use bytes::Bytes;
use cache::front::{Action, Write};

use super::history::Change;
use super::world::World;

/// The keys that are used, and how many clients do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) keys: u64,
    pub(crate) counters: u64,
    pub(crate) clients: u64,
    /// Longest pause between two operations of a client, in milliseconds.
    pub(crate) pause_ms: u64,
    /// Operations, per thousand, that go to a few keys.
    pub(crate) heat: u64,
}

/// Something a client is about to do.
pub(crate) struct Intent {
    pub(crate) key: String,
    pub(crate) action: Action,
    pub(crate) change: Option<Change>,
}

impl Intent {
    pub(crate) fn read(key: String) -> Self {
        Self {
            key,
            action: Action::Get,
            change: None,
        }
    }

    pub(crate) fn put(world: &World, key: String, expires_at_ms: u64, condition: Condition) -> Self {
        let value = format!("v{:x}", world.random.next());
        let lifetime = lifetime(expires_at_ms);
        let write = Write::new(Bytes::from(value.clone()), String::new(), lifetime, condition);
        Self {
            key,
            action: Action::Put(write),
            change: Some(Change::Put { value, expires_at_ms }),
        }
    }

    pub(crate) fn any(world: &World, workload: Workload) -> Self {
        let random = &world.random;
        if random.chance(80) {
            let key = format!("n{}", random.between(1, workload.counters));
            return match random.chance(300) {
                true => Self::read(key),
                false => Self {
                    key,
                    action: Action::Incr { by: 1 },
                    change: Some(Change::Incr),
                },
            };
        }
        let number = if random.chance(workload.heat) {
            random.between(0, 3)
        } else {
            random.between(0, workload.keys - 1)
        };
        let key = format!("k{number}");
        let expires_at_ms = if random.chance(200) {
            world.now_ms() + random.between(1_000, 6_000)
        } else {
            0
        };
        let condition = match random.between(0, 19) {
            0 => Condition::Absent,
            1 => Condition::Present,
            2 | 3 => Condition::Version(world.model.lock().newest(&key)),
            _ => Condition::None,
        };
        match random.between(0, 99) {
            0..45 => Self::read(key),
            45..83 => Self::put(world, key, expires_at_ms, condition),
            83..93 => Self {
                key,
                action: Action::Delete { condition },
                change: Some(Change::Delete),
            },
            _ => Self {
                key,
                action: Action::Touch {
                    lifetime: lifetime(expires_at_ms),
                    condition,
                },
                change: Some(Change::Touch { expires_at_ms }),
            },
        }
    }
}

const fn lifetime(expires_at_ms: u64) -> Lifetime {
    Lifetime {
        fresh_until_ms: 0,
        expires_at_ms,
    }
}
