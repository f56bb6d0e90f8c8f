//! Who should keep which blob: the ring, with those in it that are away but may come back.

use std::collections::BTreeMap;
use std::time::Duration;

use api::NodeId;
use api::member::{Layout, RingMember};
use cluster::Snapshot;
use hash_ring::{Member, Ring, hash_key};
use tokio::time::Instant;

/// Members of the ring, and those that have left it without being asked to, for as long as they are waited for.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    known: BTreeMap<NodeId, Known>,
    virtual_nodes: u32,
}

#[derive(Debug)]
struct Known {
    weight: u32,
    zone: Option<String>,
    /// None for one that is away.
    address: Option<String>,
    away_since: Option<Instant>,
}

/// Where blobs belong at one moment.
#[derive(Debug)]
pub(crate) struct Placement {
    ring: Ring,
    /// In the order of the ring: name, and address of those that are there.
    nodes: Vec<(NodeId, Option<String>)>,
    replicas: usize,
}

impl Roster {
    /// Takes note of the cluster as it is.
    pub(crate) fn see(&mut self, snapshot: &Snapshot, now: Instant, patience: Duration) {
        let record = snapshot.routing().record();
        let Layout {
            virtual_nodes, members, ..
        } = &record.layout;
        self.virtual_nodes = *virtual_nodes;
        let candidates = snapshot.routing().candidates(blobs::NAMESPACE, "");
        let address = |member: &RingMember| {
            let owner = candidates.iter().find(|owner| owner.id == member.id);
            owner.map(|owner| owner.address.clone())
        };
        let drained = |id: &NodeId| snapshot.drains().contains_key(id);
        for known in self.known.values_mut() {
            known.address = None;
        }
        for member in members.iter().filter(|member| !member.lost) {
            let known = Known {
                weight: member.weight,
                zone: member.zone.clone(),
                address: address(member),
                away_since: None,
            };
            let since = self
                .known
                .insert(member.id.clone(), known)
                .and_then(|before| before.away_since);
            if let Some(known) = self.known.get_mut(&member.id).filter(|known| known.address.is_none()) {
                known.away_since = since;
            }
        }
        self.known.retain(|id, known| {
            if known.address.is_some() {
                known.away_since = None;
                return true;
            }
            let since = *known.away_since.get_or_insert(now);
            !drained(id) && now.saturating_duration_since(since) < patience
        });
    }

    /// When the next one is waited for no longer.
    pub(crate) fn next_loss(&self, patience: Duration) -> Option<Instant> {
        self.known
            .values()
            .filter_map(|known| known.away_since)
            .min()
            .map(|since| since + patience)
    }

    /// Where blobs belong.
    pub(crate) fn placement(&self, replicas: usize) -> Placement {
        let members = self.known.iter().map(|(id, known)| Member {
            id: id.as_str().to_owned(),
            weight: known.weight,
            zone: known.zone.clone(),
        });
        Placement {
            ring: Ring::new(members, self.virtual_nodes),
            nodes: self
                .known
                .iter()
                .map(|(id, known)| (id.clone(), known.address.clone()))
                .collect(),
            replicas,
        }
    }
}

impl PartialEq for Placement {
    fn eq(&self, other: &Self) -> bool {
        self.nodes == other.nodes && self.replicas == other.replicas
    }
}

impl Placement {
    /// The owners of a blob, in order; those that are away have no address.
    pub(crate) fn owners(&self, name: &str) -> Vec<(&NodeId, Option<&str>)> {
        let owners = self.ring.owners(hash_key(blobs::NAMESPACE, name), self.replicas);
        let nodes = owners.iter().filter_map(|owner| self.nodes.get(*owner as usize));
        nodes.map(|(id, address)| (id, address.as_deref())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(600);

    fn roster(away: &[(&str, Option<Instant>)]) -> Roster {
        let known = away.iter().map(|(id, away_since)| {
            let known = Known {
                weight: 1,
                zone: None,
                address: away_since.is_none().then(|| format!("{id}:1")),
                away_since: *away_since,
            };
            (NodeId::try_new(*id).unwrap(), known)
        });
        Roster {
            known: known.collect(),
            virtual_nodes: 64,
        }
    }

    #[tokio::test]
    async fn one_that_is_away_keeps_its_place_and_has_no_address() {
        let now = Instant::now();
        let (all, without) = (
            roster(&[("a", None), ("b", None), ("c", None)]),
            roster(&[("a", None), ("b", Some(now)), ("c", None)]),
        );
        let (all, without) = (all.placement(2), without.placement(2));
        for n in 0..100 {
            let name = format!("x/{n}");
            let ids = |placement: &Placement| {
                placement
                    .owners(&name)
                    .into_iter()
                    .map(|(id, _)| id.to_string())
                    .collect::<Vec<_>>()
            };
            assert_eq!(ids(&all), ids(&without));
            assert!(
                without
                    .owners(&name)
                    .iter()
                    .all(|(id, address)| address.is_none() == (id.as_str() == "b"))
            );
        }
        assert_ne!(all, without);
    }

    #[tokio::test]
    async fn one_is_waited_for_and_then_replaced() {
        let now = Instant::now();
        let mut roster = roster(&[("a", Some(now))]);
        assert_eq!(roster.next_loss(PATIENCE), Some(now + PATIENCE));
        roster.see(&Snapshot::default(), now + PATIENCE - Duration::from_secs(1), PATIENCE);
        assert_eq!(roster.known.len(), 1);
        roster.see(&Snapshot::default(), now + PATIENCE, PATIENCE);
        assert_eq!(roster.known.len(), 0);
    }
}
