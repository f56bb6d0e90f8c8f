//! Waiting until every other owner has what was written here.
//!
//! When the ring changes meanwhile, what is not settled is handed to the owners of the new ring, by whoever applied it: some
//! of them may have it already, and all of them must have the same in the end.

use std::sync::Arc;

use api::cache::FrameReply;
use futures::future::join_all;
use store::cache::{Change, ChangeKind, Key, Record};
use tokio::time::Instant;

use super::Owner;
use super::apply::Applied;
use super::lane::{Delivery, Newer};
use super::outcome::Outcome;
use super::state::State;

/// A write that the other owners must have.
#[derive(Debug)]
pub(super) struct Written {
    /// Its place in the batch.
    pub(super) place: usize,
    /// What the key holds since.
    pub(super) record: Record,
    /// Whether the master may stamp and send it again after it was carried out here.
    pub(super) repeatable: bool,
}

/// Writes on their way to one replica: which, and its answer.
type UnderWay = (Vec<usize>, tokio::sync::oneshot::Receiver<Newer>);

impl Owner {
    /// Hands writes over to the other owners in this ring; the indices are places in `written`.
    pub(super) fn hand_over(&self, state: &State, written: &[Written], which: impl Iterator<Item = usize>) -> Vec<UnderWay> {
        let mut bundles: Vec<(Vec<usize>, Vec<Delivery>)> = Vec::new();
        bundles.resize_with(state.lanes.len(), Default::default);
        for index in which {
            let record = &written[index].record;
            let plan = state.routing.plan(record.hash());
            // Among them the one who orders the writes, if this node does not any more.
            let others = plan.primary().into_iter().chain(plan.copies.iter().copied());
            for other in others.filter(|other| Some(*other) != state.me) {
                let (indices, items) = &mut bundles[other.get()];
                indices.push(index);
                items.push(Delivery::Written(record.clone()));
            }
        }
        let to = bundles
            .into_iter()
            .zip(&state.lanes)
            .filter(|((indices, _), _)| !indices.is_empty());
        to.map(|((indices, items), lane)| match lane {
            Some(lane) => (indices, lane.send(items)),
            // Its address is not known yet: as if the ring were over, until it is.
            None => (indices, tokio::sync::oneshot::channel().1),
        })
        .collect()
    }

    /// Waits until all is settled, and writes into `applied` what could not be.
    pub(super) async fn settle(&self, mut state: Arc<State>, mut applied: Applied, under_way: Vec<UnderWay>) -> Applied {
        let deadline = Instant::now() + self.options.deadline;
        let mut under_way = under_way;
        loop {
            let answers = join_all(
                under_way
                    .into_iter()
                    .map(|(indices, answer)| async move { (indices, answer.await) }),
            );
            let Ok(answers) = tokio::time::timeout_at(deadline, answers).await else {
                let all = 0..applied.written.len();
                applied.leave_open(all, "a replica did not take it in time");
                return applied;
            };
            let mut unsettled = Vec::new();
            for (indices, answer) in answers {
                match answer {
                    Ok(newer) => newer
                        .into_iter()
                        .for_each(|(place, held)| self.outdated(&state, &mut applied, indices[place], held)),
                    Err(_) => unsettled.extend(indices),
                }
            }
            if unsettled.is_empty() {
                return applied;
            }
            unsettled.sort_unstable();
            unsettled.dedup();
            let Some(next) = self.next_state(&state, deadline).await else {
                applied.leave_open(unsettled.into_iter(), "the ring did not settle in time");
                return applied;
            };
            state = next;
            let (owned, orphaned): (Vec<_>, Vec<_>) = unsettled.into_iter().partition(|index| {
                let plan = state.routing.plan(applied.written[*index].record.hash());
                state.me.is_some() && plan.primary().is_some()
            });
            applied.leave_open(
                orphaned.into_iter(),
                "the node has no part in the ring any more, or the key has no owner",
            );
            under_way = self.hand_over(&state, &applied.written, owned.into_iter());
        }
    }

    /// The ring that is served after `state`, or the same a moment later: a lane was full, or an address unknown.
    async fn next_state(&self, state: &Arc<State>, deadline: Instant) -> Option<Arc<State>> {
        let pause = tokio::time::Duration::from_millis(20);
        let next = tokio::time::timeout(pause, self.after(state)).await;
        (Instant::now() < deadline).then(|| next.unwrap_or_else(|_| Arc::clone(state)))
    }

    /// A replica holds a newer version. That is no news when it came from here; else it is from a life of the key before
    /// this node ordered its writes, and the master must stamp above it.
    fn outdated(&self, state: &State, applied: &mut Applied, index: usize, held: u64) {
        let written = &applied.written[index];
        let key = Key {
            namespace: written.record.namespace(),
            key: written.record.key(),
        };
        let current = self.store.record(key).map_or(0, |record| record.version);
        if current >= held {
            return;
        }
        let is_primary = state.me.is_some() && state.routing.plan(written.record.hash()).primary() == state.me;
        applied.outcomes[written.place] = if written.repeatable && is_primary {
            Outcome::Plain(FrameReply::Stale { version: held })
        } else {
            Outcome::unsettled("a replica holds a newer version")
        };
    }

    /// Tells the replicas what was evicted here, and the listeners what happened by itself.
    pub fn tell(&self) {
        self.tell_changes(&self.state());
    }

    pub(super) fn tell_changes(&self, state: &State) {
        let changes = self.store.take_changes();
        if changes.is_empty() {
            return;
        }
        let mut bundles: Vec<Vec<Delivery>> = Vec::new();
        bundles.resize_with(state.lanes.len(), Default::default);
        for change in changes {
            self.events.publish_change(&change);
            if change.kind == ChangeKind::Evicted {
                for copy in state.routing.plan(change.hash()).copies.iter() {
                    bundles[copy.get()].push(Delivery::Evicted(Change::clone(&change)));
                }
            }
        }
        for (items, lane) in bundles.into_iter().zip(&state.lanes) {
            if let (false, Some(lane)) = (items.is_empty(), lane) {
                lane.mention(items);
            }
        }
    }
}

impl Applied {
    /// Answers writes with an open outcome.
    fn leave_open(&mut self, which: impl Iterator<Item = usize>, detail: &str) {
        for index in which {
            self.outcomes[self.written[index].place] = Outcome::unsettled(detail);
        }
    }
}
