//! Comparing with one source, and fetching what differs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use api::cache::{ReplicaItem, SyncDigests, SyncDigestsRequest, SyncPage, SyncPageRequest};
use bytes::Bytes;
use cluster::{Duty, NodeIndex, Source};
use futures::StreamExt;
use hash_ring::hash_key;
use serde::{Deserialize, Serialize};
use store::cache::Role;
use tokio::sync::Mutex;

use super::is_between;
use super::throttle::Throttle;
use crate::owner::{Owner, State};
use crate::{CallError, Kind};

/// Time for one answer: a source may look through many entries for it.
const DEADLINE: Duration = Duration::from_secs(10);
/// Buckets that are fetched at once.
const AT_ONCE: usize = 8;

impl Owner {
    /// Makes what concerns the two nodes equal.
    pub(super) async fn fetch_from(&self, state: &Arc<State>, me: NodeIndex, source: NodeIndex) -> Result<(), CallError> {
        let Some(theirs) = self.ask_digests(state, source).await? else {
            // Lost, or a life that holds nothing: there is nothing to fetch from it.
            return Ok(());
        };
        let (compared, now_ms) = (Arc::clone(&state.routing), self.clock.now_ms());
        let ours = self.offload(move |store| store.digests(|hash| is_between(&compared, me, source, hash), now_ms));
        let ours = ours.await;
        let differing: Vec<u16> = (0u16..)
            .zip(theirs.buckets.iter().zip(&ours))
            .filter(|(_, (theirs, ours))| theirs != ours)
            .map(|(bucket, _)| bucket)
            .collect();
        self.advance(|progress| {
            progress.buckets += theirs.buckets.len() as u64;
            progress.buckets_done += (theirs.buckets.len() - differing.len()) as u64;
        });
        let throttle = Mutex::new(Throttle::new(self.options.sync_bytes_per_second));
        let mut fetched = futures::stream::iter(differing)
            .map(|bucket| self.fetch_bucket(state, me, source, bucket, &throttle))
            .buffer_unordered(AT_ONCE);
        while let Some(fetched) = fetched.next().await {
            fetched?;
            self.advance(|progress| progress.buckets_done += 1);
        }
        Ok(())
    }

    async fn ask_digests(&self, state: &State, source: NodeIndex) -> Result<Option<SyncDigests>, CallError> {
        let request = SyncDigestsRequest { caller: self.me.boot_id };
        let Some(answer) = self.ask(state, source, Kind::Digests, &request).await? else {
            return Ok(None);
        };
        read(&answer).map(Some)
    }

    /// Returns once a node has handed over what it applied under earlier rings.
    pub(super) async fn ask_handover(&self, state: &State, node: NodeIndex) -> Result<(), CallError> {
        const PATIENCE: Duration = Duration::from_secs(1);
        let to = state.routing.node(node);
        let to = to.ok_or_else(|| CallError::NotExecuted("its address is not known yet".to_owned()))?;
        let called = self.peers.call(to, Kind::Handover, state.epoch(), Bytes::new(), PATIENCE);
        called.await.map(drop)
    }

    async fn fetch_bucket(
        &self,
        state: &Arc<State>,
        me: NodeIndex,
        source: NodeIndex,
        bucket: u16,
        throttle: &Mutex<Throttle>,
    ) -> Result<(), CallError> {
        let mut after = None;
        loop {
            let concerns = |hash| Some(hash) > after && is_between(&state.routing, me, source, hash);
            let request = SyncPageRequest {
                caller: self.me.boot_id,
                bucket,
                after,
                have: self.store.list(bucket, concerns, self.clock.now_ms()),
            };
            let Some(answer) = self.ask(state, source, Kind::Page, &request).await? else {
                return Ok(());
            };
            let page: SyncPage<'_> = read(&answer)?;
            let listed: HashMap<u64, u64> = request.have.iter().copied().collect();
            // By another ring its word may not count any more.
            let taken = self.under(state, || self.take(state, me, &page, &listed));
            taken.ok_or_else(|| CallError::Refused("the ring has changed".to_owned()))?;
            self.metrics.sync_bytes.inc_by(answer.len() as u64);
            self.advance(|progress| progress.bytes += answer.len() as u64);
            throttle.lock().await.pass(answer.len()).await;
            let Some(last) = page.items.last().filter(|_| page.more) else {
                return Ok(());
            };
            after = Some(hash_key(last.namespace, last.key));
        }
    }

    /// Takes what a source has, and drops what it has not.
    fn take(&self, state: &State, me: NodeIndex, page: &SyncPage<'_>, listed: &HashMap<u64, u64>) {
        let now_ms = self.clock.now_ms();
        let mut taken = 0;
        for item in &page.items {
            let hash = hash_key(item.namespace, item.key);
            taken += usize::from(self.take_item(state, me, item, hash, listed.get(&hash).copied(), now_ms));
        }
        let surplus = page.surplus.iter().filter_map(|hash| Some((*hash, *listed.get(hash)?)));
        let outdated: Vec<_> = surplus
            .filter(|(hash, _)| matches!(state.routing.source(me, *hash), Source::Primary(_)))
            .collect();
        let dropped = self.store.drop_listed(&outdated);
        self.metrics.sync_entries.inc_by(taken as u64);
        self.metrics.sync_dropped.inc_by(dropped as u64);
        self.advance(|progress| {
            progress.entries += taken as u64;
            progress.dropped += dropped as u64;
        });
    }

    fn take_item(
        &self,
        state: &State,
        me: NodeIndex,
        item: &ReplicaItem<'_>,
        hash: u64,
        listed: Option<u64>,
        now_ms: u64,
    ) -> bool {
        let role = match state.routing.duty(me, hash) {
            Some(Duty::Primary) => Role::Primary,
            _ => Role::Replica,
        };
        match state.routing.source(me, hash) {
            Source::Here => false,
            Source::Primary(_) => self.store.repair(item, listed, role, now_ms),
            Source::Everybody => self.store.apply(item, role, now_ms) == store::cache::Applied::Done,
        }
    }

    /// Calls a source; none when that life of it is over.
    async fn ask(
        &self,
        state: &State,
        source: NodeIndex,
        kind: Kind,
        request: &impl Serialize,
    ) -> Result<Option<Bytes>, CallError> {
        if !state.routing.is_serving(source) {
            return Ok(None);
        }
        let to = state.routing.node(source);
        let to = to.ok_or_else(|| CallError::NotExecuted("its address is not known yet".to_owned()))?;
        let body = postcard::to_stdvec(request).unwrap_or_default();
        self.peers
            .call(to, kind, state.epoch(), body.into(), DEADLINE)
            .await
            .map(Some)
    }

    fn advance(&self, by: impl FnOnce(&mut api::cache::SyncProgress)) {
        if let Some(progress) = &mut *self.progress.lock() {
            by(progress);
        }
    }
}

fn read<'a, T: Deserialize<'a>>(answer: &'a Bytes) -> Result<T, CallError> {
    postcard::from_bytes(answer).map_err(|error| CallError::Unknown(error.to_string()))
}
