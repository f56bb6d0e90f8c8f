//! Answering calls.

use std::sync::Arc;
use std::time::Duration;

use api::cache::{BatchFrame, ReplicaAnswer, ReplicaFrame, SyncDigests, SyncDigestsRequest, SyncPageRequest};
use api::{BootId, Epoch};
use bytes::Bytes;
use cluster::{Duty, NodeIndex};
use hash_ring::hash_key;
use parking_lot::Mutex;
use store::cache::{Applied as Replicated, Role};

use super::Owner;
use super::apply::Applied;
use super::state::State;
use crate::{Kind, Skew};

/// Whom a caller means to reach, by which ring, and what it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// What it wants.
    pub kind: Kind,
    /// The life of this node it means.
    pub boot_id: BootId,
    /// The ring it routed by.
    pub epoch: Epoch,
    /// How far the clock of the caller is ahead, by which it tells points in time and is told them.
    pub skew: Skew,
}

/// Why a call was not carried out; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It was meant for another life of this node.
    #[error("this is another life of the node ({ours}); look up the members and send it again")]
    OtherLife {
        /// The life it reached.
        ours: BootId,
    },
    /// It was routed by another ring.
    #[error("the ring is at epoch {ours} here, the call was routed by epoch {theirs}; look up the ring and send it again")]
    OtherEpoch {
        /// The epoch that is served.
        ours: Epoch,
        /// The epoch of the call.
        theirs: Epoch,
    },
    /// It cannot be read.
    #[error("the frame cannot be read")]
    Malformed(#[source] postcard::Error),
    /// Its answer cannot be written.
    #[error("the reply cannot be written")]
    Unwritable(#[source] postcard::Error),
    /// A later frame of the same sender was taken before.
    #[error("a later frame of the same node came before this one")]
    Overtaken,
    /// The caller has no part in the ring.
    #[error("the caller has no part in the ring at epoch {0}")]
    Stranger(Epoch),
}

impl Owner {
    /// Answers a call.
    ///
    /// # Errors
    /// [`Refused`]: nothing was done.
    pub async fn answer(&self, call: Call, body: Bytes) -> Result<Bytes, Refused> {
        if call.boot_id != self.me.boot_id {
            self.metrics.refused.with_label_values(&["boot_id"]).inc();
            return Err(Refused::OtherLife { ours: self.me.boot_id });
        }
        self.reach(call.epoch).await?;
        match call.kind {
            Kind::Batch => self.batch(call, &body).await,
            Kind::Replica => self.replica(call, &body),
            Kind::Digests => self.digests(call.epoch, &body).await,
            Kind::Page => self.page(call, &body).await,
            Kind::Handover => self.handed_over(call.epoch).await,
        }
    }

    async fn batch(&self, call: Call, body: &[u8]) -> Result<Bytes, Refused> {
        let mut frame: BatchFrame<'_> = postcard::from_bytes(body).map_err(Refused::Malformed)?;
        call.skew.batch(&mut frame);
        let applied = self.carry_out(call.epoch, &frame).await?;
        applied
            .reply(call.skew.reversed())
            .map(Bytes::from)
            .map_err(Refused::Unwritable)
    }

    /// Applies a batch, and waits until the other owners have what it wrote.
    pub(super) async fn carry_out(&self, epoch: Epoch, frame: &BatchFrame<'_>) -> Result<Applied, Refused> {
        let carried_out = self.gate.pass(epoch, |state| {
            let applied = self.apply(state, frame);
            let under_way = self.hand_over(state, &applied.written, 0..applied.written.len());
            self.tell_changes(state);
            (Arc::clone(state), applied, under_way)
        });
        let (state, applied, under_way) = carried_out.map_err(|ours| self.other_epoch(ours, epoch))?;
        if under_way.is_empty() {
            return Ok(applied);
        }
        let open = Arc::clone(&state.open);
        let settled = self.settle(state, applied, under_way).await;
        drop(open);
        Ok(settled)
    }

    fn replica(&self, call: Call, body: &[u8]) -> Result<Bytes, Refused> {
        let mut frame: ReplicaFrame<'_> = postcard::from_bytes(body).map_err(Refused::Malformed)?;
        for item in &mut frame.items {
            call.skew.adopt(item);
        }
        let (epoch, now_ms) = (call.epoch, self.clock.now_ms());
        let taken = frame.order.map(|(life, number)| (self.taken_of(life), number));
        let mut last = taken.as_ref().map(|(taken, number)| (taken.lock(), *number));
        let applied = self.gate.pass(epoch, |state| {
            if let Some((last, number)) = &mut last {
                if **last > *number {
                    return None;
                }
                **last = *number;
            }
            let mut answer = ReplicaAnswer::default();
            for (place, item) in (0u32..).zip(&frame.items) {
                let duty = state
                    .me
                    .and_then(|me| state.routing.duty(me, hash_key(item.namespace, item.key)));
                let role = if duty == Some(Duty::Primary) {
                    Role::Primary
                } else {
                    Role::Replica
                };
                if let Replicated::Newer(version) = self.store.apply(item, role, now_ms) {
                    answer.newer.push((place, version));
                }
            }
            self.tell_changes(state);
            Some(answer)
        });
        let answer = applied
            .map_err(|ours| self.other_epoch(ours, epoch))?
            .ok_or(Refused::Overtaken)?;
        self.metrics.replica_items.inc_by(frame.items.len() as u64);
        postcard::to_stdvec(&answer).map(Bytes::from).map_err(Refused::Unwritable)
    }

    /// Answers once all that was applied here under earlier rings is where it must be.
    async fn handed_over(&self, epoch: Epoch) -> Result<Bytes, Refused> {
        const PAUSE: Duration = Duration::from_millis(2);
        while self.epoch() == epoch {
            if self.has_handed_over() {
                return Ok(Bytes::new());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(self.other_epoch(self.epoch(), epoch))
    }

    fn taken_of(&self, life: BootId) -> Arc<Mutex<u64>> {
        Arc::clone(self.taken.lock().entry(life).or_default())
    }

    async fn digests(&self, epoch: Epoch, body: &[u8]) -> Result<Bytes, Refused> {
        let request: SyncDigestsRequest = postcard::from_bytes(body).map_err(Refused::Malformed)?;
        let (state, caller) = self.pair(epoch, request.caller)?;
        let now_ms = self.clock.now_ms();
        let buckets = self.offload(move |store| store.digests(|hash| concerns(&state, caller, hash), now_ms));
        let digests = SyncDigests { buckets: buckets.await };
        postcard::to_stdvec(&digests).map(Bytes::from).map_err(Refused::Unwritable)
    }

    async fn page(&self, call: Call, body: &[u8]) -> Result<Bytes, Refused> {
        /// About as much as fetched entries may take before they are applied.
        const PAGE_BYTES: usize = 1 << 20;
        let request: SyncPageRequest = postcard::from_bytes(body).map_err(Refused::Malformed)?;
        let (state, caller) = self.pair(call.epoch, request.caller)?;
        let (now_ms, told) = (self.clock.now_ms(), call.skew.reversed());
        let page = self.offload(move |store| {
            let concerns = |hash| Some(hash) > request.after && concerns(&state, caller, hash);
            let page = store.page(request.bucket, concerns, &request.have, PAGE_BYTES, now_ms);
            let mut items: Vec<_> = page.items.iter().map(store::cache::Record::to_item).collect();
            items.iter_mut().for_each(|item| told.adopt(item));
            postcard::to_stdvec(&api::cache::SyncPage {
                items,
                surplus: page.surplus,
                more: page.more,
            })
        });
        page.await.map(Bytes::from).map_err(Refused::Unwritable)
    }

    /// The ring that is served, and the place of the node that asks in it.
    fn pair(&self, epoch: Epoch, caller: BootId) -> Result<(Arc<State>, NodeIndex), Refused> {
        let state = self.state();
        if state.epoch() != epoch {
            return Err(self.other_epoch(state.epoch(), epoch));
        }
        let caller = state.routing.index_of_life(caller).ok_or(Refused::Stranger(epoch))?;
        Ok((state, caller))
    }

    /// A caller may have been told of a change of the ring sooner than this node.
    async fn reach(&self, epoch: Epoch) -> Result<(), Refused> {
        let served = self.epoch();
        if served < epoch {
            tokio::time::timeout(self.options.catch_up, self.rings.catch_up(epoch))
                .await
                .ok();
            self.gate.wait_for(epoch, self.options.catch_up).await;
        }
        match self.epoch() {
            ours if ours == epoch => Ok(()),
            ours => Err(self.other_epoch(ours, epoch)),
        }
    }

    pub(super) fn other_epoch(&self, ours: Epoch, theirs: Epoch) -> Refused {
        self.metrics.refused.with_label_values(&["epoch"]).inc();
        Refused::OtherEpoch { ours, theirs }
    }
}

/// Whether a key is one that `caller` fetches from this node.
fn concerns(state: &State, caller: NodeIndex, hash: u64) -> bool {
    state
        .me
        .is_some_and(|me| crate::sync::is_between(&state.routing, caller, me, hash))
}
