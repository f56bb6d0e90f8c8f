//! States from other nodes, keys of namespaces, and small caches.

use api::cache::{Lifetime, Packing, ReplicaItem, ReplicaState};
use store::cache::{Bounds, Cache, Key, Policy};

pub(crate) fn bounded(entries: usize, bytes: usize, policy: Policy) -> Cache {
    Cache::new(Bounds { entries, bytes, policy })
}

pub(crate) fn live<'a>(key: &'a str, value: &'a [u8], version: u64) -> ReplicaItem<'a> {
    ReplicaItem {
        namespace: "",
        key,
        version,
        state: ReplicaState::Live {
            value,
            content_type: "",
            packing: Packing::Plain,
            lifetime: Lifetime::default(),
            created: true,
        },
    }
}

pub(crate) const fn named<'a>(namespace: &'a str, key: &'a str) -> Key<'a> {
    Key { namespace, key }
}
