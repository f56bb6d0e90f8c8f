//! Requests under way, by caller. Only callers with some are known, so there are never more of them than requests.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// How many requests each caller has under way.
#[derive(Debug)]
pub(crate) struct InFlight<K> {
    most: usize,
    counts: Mutex<HashMap<K, usize>>,
}

/// A request under way, until this is dropped.
pub(crate) struct Held(#[expect(dead_code, reason = "it is there to be dropped")] Box<dyn Send + Sync>);

struct Place<K: Hash + Eq> {
    of: Arc<InFlight<K>>,
    caller: K,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> InFlight<K> {
    /// At most so many for each; 0 for no bound.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            counts: Mutex::default(),
        })
    }

    pub(crate) const fn is_off(&self) -> bool {
        self.most == 0
    }

    pub(crate) const fn most(&self) -> usize {
        self.most
    }

    /// One more, unless there are as many as may be.
    pub(crate) fn begin<Q>(self: &Arc<Self>, caller: &Q) -> Option<Held>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let mut counts = self.counts.lock();
        match counts.get_mut(caller) {
            Some(count) if *count >= self.most => return None,
            Some(count) => *count += 1,
            None => drop(counts.insert(caller.to_owned(), 1)),
        }
        Some(Held(Box::new(Place {
            of: Arc::clone(self),
            caller: caller.to_owned(),
        })))
    }
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let mut counts = self.of.counts.lock();
        if let Some(count) = counts.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.caller);
            }
        }
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_request_has_ended() {
        let in_flight: Arc<InFlight<String>> = InFlight::new(2);
        let (one, _two) = (in_flight.begin("a").unwrap(), in_flight.begin("a").unwrap());
        assert!(in_flight.begin("a").is_none());
        let other = in_flight.begin("b").unwrap();
        drop(one);
        assert!(in_flight.begin("a").is_some());
        drop(other);
        assert_eq!(in_flight.counts.lock().len(), 1, "who has none is not remembered");
    }
}
