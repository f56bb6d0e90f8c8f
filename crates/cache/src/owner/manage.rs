//! What operators ask of an owner: deleting by prefix, clearing, restoring, and comparing.

use std::collections::BTreeMap;
use std::time::Duration;

use api::NodeId;
use api::cache::{BatchFrame, Condition, FrameItem, FrameOp, FrameReply, ReplicaFrame, ReplicaItem, ReplicaState};
use bytes::Bytes;
use cluster::NodeIndex;
use hash_ring::hash_key;
use store::cache::Role;
use tokio::time::Instant;

use super::Owner;
use super::outcome::Outcome;
use super::serve::Refused;
use crate::Kind;

/// Keys deleted in one go.
const CHUNK: usize = 512;
/// Time for other owners to take restored entries.
const RESTORE_DEADLINE: Duration = Duration::from_secs(10);
/// Pause before they are sent again.
const PAUSE: Duration = Duration::from_millis(50);

/// Restored entries could not be handed to another owner.
#[derive(Debug, thiserror::Error)]
#[error("restored entries could not be handed over: {0}; restore again when the ring is stable")]
pub struct NotHandedOver(String);

impl Owner {
    /// Deletes the keys with a prefix that this node orders the writes of, as of the stamp `version`: what was written
    /// later stays. How many there were.
    ///
    /// # Errors
    /// [`Refused`] when the ring changed meanwhile; some may be deleted.
    pub async fn delete_prefix(&self, namespace: &str, prefix: &str, version: u64) -> Result<u64, Refused> {
        let (mut deleted, mut cursor) = (0, None);
        loop {
            let found = self.store.keys_with_prefix(namespace, prefix, cursor, CHUNK);
            let delete = |key| FrameItem {
                namespace,
                key,
                op: FrameOp::Delete {
                    version,
                    condition: Condition::None,
                },
                again: false,
            };
            let items = found.keys.iter().map(|key| delete(&**key)).collect();
            let epoch = self.epoch();
            let applied = self.carry_out(epoch, &BatchFrame { items }).await?;
            for outcome in &applied.outcomes {
                match outcome {
                    Outcome::Plain(FrameReply::Deleted { existed: true }) => deleted += 1,
                    Outcome::Failed(..) => return Err(self.other_epoch(self.epoch(), epoch)),
                    _ => {}
                }
            }
            match found.next {
                None => return Ok(deleted),
                next => cursor = next,
            }
        }
    }

    /// Takes entries from a backup, and hands them to their other owners; the newest version wins everywhere.
    ///
    /// # Errors
    /// [`NotHandedOver`] when an owner does not take them in time.
    pub async fn restore(&self, items: &[ReplicaItem<'_>]) -> Result<(), NotHandedOver> {
        let deadline = Instant::now() + RESTORE_DEADLINE;
        let now_ms = self.clock.now_ms();
        let items: Vec<_> = items.iter().map(|item| to_be_restored(item, now_ms)).collect();
        loop {
            let Err(reason) = self.offer(&items).await else {
                return Ok(());
            };
            if Instant::now() > deadline {
                return Err(NotHandedOver(reason));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn offer(&self, items: &[ReplicaItem<'_>]) -> Result<(), String> {
        let (state, now_ms) = (self.state(), self.clock.now_ms());
        let mut frames: BTreeMap<NodeIndex, Vec<ReplicaItem<'_>>> = BTreeMap::new();
        for item in items {
            let plan = state.routing.plan(hash_key(item.namespace, item.key));
            for node in plan.readers.iter().chain(plan.copies.iter()) {
                if Some(*node) == state.me {
                    let role = if plan.primary() == state.me {
                        Role::Primary
                    } else {
                        Role::Replica
                    };
                    self.store.apply(item, role, now_ms);
                } else {
                    frames.entry(*node).or_default().push(item.clone());
                }
            }
        }
        for (node, items) in frames {
            let to = state.routing.node(node).ok_or("the address of an owner is not known")?;
            let frame = postcard::to_stdvec(&ReplicaFrame { order: None, items }).unwrap_or_default();
            let handed_over = self
                .peers
                .call(to, Kind::Replica, state.epoch(), Bytes::from(frame), PAUSE * 40);
            handed_over.await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// For each other node, a digest of all that both must hold: two nodes agree when each has the same of the other.
    pub async fn agreement(&self) -> BTreeMap<NodeId, u64> {
        let (state, now_ms) = (self.state(), self.clock.now_ms());
        let Some(me) = state.me else { return BTreeMap::new() };
        let mut digests = BTreeMap::new();
        for other in state
            .routing
            .nodes()
            .filter(|node| *node != me && state.routing.is_serving(*node))
        {
            let Some(id) = state.routing.name(other).cloned() else {
                continue;
            };
            let compared = std::sync::Arc::clone(&state.routing);
            let both = move |hash| [me, other].iter().all(|node| compared.duty(*node, hash).is_some());
            let buckets = self.offload(move |store| store.digests(both, now_ms)).await;
            // The buckets are of different keys: their order does not matter.
            digests.insert(id, buckets.into_iter().fold(0, |all, bucket| all ^ bucket));
        }
        digests
    }
}

/// What has expired goes as a delete: the owners would forget it, and another node's backup may have what it replaced.
fn to_be_restored<'a>(item: &ReplicaItem<'a>, now_ms: u64) -> ReplicaItem<'a> {
    match item.state {
        ReplicaState::Live { lifetime, .. } if lifetime.expires_at_ms != 0 && lifetime.expires_at_ms <= now_ms => ReplicaItem {
            state: ReplicaState::Deleted {
                at_ms: now_ms,
                existed: true,
            },
            ..item.clone()
        },
        _ => item.clone(),
    }
}
