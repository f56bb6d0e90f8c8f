//! Who loads what is missing: of all who miss a key at once one is told to load it, the others to wait.
//!
//! Soft state of the primary. When it is lost, a second caller loads too, which costs time and nothing else.

use std::collections::HashMap;

use parking_lot::Mutex;
use store::cache::Key;

/// Loads remembered; above that, everybody loads.
const MAX_LOADS: usize = 65_536;

/// Namespace and key.
type Name = (Box<str>, Box<str>);

/// The loads under way, with the time until which others wait for each.
#[derive(Debug, Default)]
pub(super) struct Loads(Mutex<HashMap<Name, u64>>);

impl Loads {
    /// Whether the caller is the one who loads.
    pub(super) fn begin(&self, key: Key<'_>, now_ms: u64, patience_ms: u32) -> bool {
        let mut loads = self.0.lock();
        if loads.len() >= MAX_LOADS {
            loads.retain(|_, until_ms| *until_ms > now_ms);
            if loads.len() >= MAX_LOADS {
                return true;
            }
        }
        let until_ms = loads.entry((key.namespace.into(), key.key.into())).or_default();
        let free = *until_ms <= now_ms;
        if free {
            *until_ms = now_ms + u64::from(patience_ms);
        }
        free
    }

    /// The key was written: nobody needs to wait.
    pub(super) fn end(&self, key: Key<'_>) {
        let mut loads = self.0.lock();
        if !loads.is_empty() {
            loads.remove(&(key.namespace.into(), key.key.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_loads_until_it_has_or_took_too_long() {
        let (loads, key) = (Loads::default(), Key::plain("k"));
        assert!(loads.begin(key, 1000, 500));
        assert!(!loads.begin(key, 1400, 500), "somebody loads it");
        assert!(loads.begin(Key::plain("other"), 1400, 500));
        assert!(loads.begin(key, 1500, 500), "it took too long");
        loads.end(key);
        assert!(loads.begin(key, 1501, 500), "it was written since");
    }
}
