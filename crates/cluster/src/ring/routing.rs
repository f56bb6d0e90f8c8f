//! Which node owns a key, and where it is: what masters look up for every request.

use std::collections::BTreeMap;

use api::member::{Member, RingRecord};
use api::{BootId, Epoch, NodeId};
use hash_ring::{Ring, hash_key};

/// An auxiliary that owns keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub id: NodeId,
    /// This life of it; goes with every call.
    pub boot_id: BootId,
    /// `host:port`.
    pub address: String,
}

/// The ring with addresses. Immutable; a new one comes with every change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routing {
    record: RingRecord,
    ring: Option<Ring>,
    /// In the order of the ring's members; none for one that never registered while this node looked.
    owners: Vec<Option<Owner>>,
}

impl Routing {
    /// The record it was built from.
    #[must_use]
    pub fn record(&self) -> &RingRecord {
        &self.record
    }

    /// Goes with every call.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.record.epoch
    }

    /// The primary owner of a key; none while there is no ring, or the owner's address is not known. No allocation.
    #[must_use]
    pub fn owner(&self, namespace: &str, key: &str) -> Option<&Owner> {
        let index = self.ring.as_ref()?.owner(hash_key(namespace, key))?;
        self.owners[index as usize].as_ref()
    }

    /// The name of the primary owner of a key.
    #[must_use]
    pub fn owner_id(&self, namespace: &str, key: &str) -> Option<&str> {
        let ring = self.ring.as_ref()?;
        ring.owner(hash_key(namespace, key))
            .map(|index| ring.member(index).id.as_str())
    }

    /// The first `count` owners of a key whose addresses are known, the primary first.
    pub fn owners(&self, namespace: &str, key: &str, count: usize) -> impl Iterator<Item = &Owner> {
        let owners = self
            .ring
            .as_ref()
            .map(|ring| ring.owners(hash_key(namespace, key), count))
            .unwrap_or_default();
        (0..owners.len()).filter_map(move |n| self.owners[owners[n] as usize].as_ref())
    }

    /// All members with the part of all keys each is the primary of.
    pub fn shares(&self) -> impl Iterator<Item = (&str, f64)> {
        let shares = self.ring.as_ref().map(Ring::shares).unwrap_or_default();
        self.ring
            .iter()
            .flat_map(|ring| ring.members())
            .map(|member| member.id.as_str())
            .zip(shares)
    }
}

/// Joins a record with the addresses of its members.
pub(crate) fn build(record: &RingRecord, known: &BTreeMap<NodeId, Member>) -> Routing {
    let members = record.members.iter().map(|member| hash_ring::Member {
        id: member.id.as_str().to_owned(),
        weight: member.weight,
        zone: member.zone.clone(),
    });
    let ring = Ring::new(members, record.virtual_nodes);
    let owner = |id: &String| {
        let member = NodeId::try_new(id.as_str()).ok().and_then(|id| known.get(&id))?;
        Some(Owner {
            id: member.id.clone(),
            boot_id: member.boot_id,
            address: member.address.clone(),
        })
    };
    let owners = ring.members().iter().map(|member| owner(&member.id)).collect();
    Routing {
        record: record.clone(),
        ring: Some(ring),
        owners,
    }
}
