//! Carrying out the operations of a batch: the hot path.
//!
//! Keys and values are borrowed from the received buffer; the only copy is the one that is stored. Values that are read,
//! and those that go to replicas, are shared with the store.

use api::cache::{BatchFrame, FrameItem, FrameOp, FrameReply, ReplyFrame};
use hash_ring::hash_key;
use store::cache::{Key, Put, Refusal, Stored, Touch};
use tokio::time::Instant;

use super::Owner;
use super::outcome::Outcome;
use super::replicate::Written;
use super::state::State;
use crate::Skew;
use crate::events::EventKind;

/// A batch that was carried out here, and what of it the other owners must have before it is answered.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) written: Vec<Written>,
}

impl Applied {
    /// The reply frame, points in time as `told` has them.
    pub(super) fn reply(&self, told: Skew) -> Result<Vec<u8>, postcard::Error> {
        let bytes: usize = self.outcomes.iter().map(Outcome::weight).sum();
        let replies = self.outcomes.iter().map(|outcome| outcome.reply(told)).collect();
        postcard::to_extend(&ReplyFrame { replies }, Vec::with_capacity(bytes + 16))
    }
}

impl Owner {
    /// Carries out a batch under a ring that is served.
    pub(super) fn apply(&self, state: &State, frame: &BatchFrame<'_>) -> Applied {
        let now_ms = self.clock.now_ms();
        let mut applied = Applied {
            outcomes: Vec::with_capacity(frame.items.len()),
            written: Vec::new(),
        };
        let (mut replied, mut began) = (0, Instant::now());
        for item in &frame.items {
            let key = Key {
                namespace: item.namespace,
                key: item.key,
            };
            let outcome = match item.op {
                FrameOp::Get => self.get(key, replied, now_ms),
                FrameOp::Load { patience_ms } => self.load(key, patience_ms, replied, now_ms),
                _ => self.write(state, key, item, applied.outcomes.len(), now_ms, &mut applied.written),
            };
            replied += outcome.weight();
            let ended = Instant::now();
            self.metrics
                .record(&item.op, &outcome, ended.duration_since(began).as_secs_f64());
            began = ended;
            applied.outcomes.push(outcome);
        }
        applied
    }

    fn get(&self, key: Key<'_>, replied: usize, now_ms: u64) -> Outcome {
        match self.store.get(key, now_ms) {
            // The first value always goes along, so that asking again gets on.
            Some(hit) if replied > 0 && replied + hit.value().len() > self.options.max_answer_bytes => {
                Outcome::elsewhere("the answer is full; ask for this key again")
            }
            Some(hit) => Outcome::Hit { hit, load: false },
            None => Outcome::Plain(FrameReply::Miss { load: false }),
        }
    }

    fn load(&self, key: Key<'_>, patience_ms: u32, replied: usize, now_ms: u64) -> Outcome {
        match self.get(key, replied, now_ms) {
            Outcome::Hit { hit, .. } => {
                let load = hit.is_stale(now_ms) && self.loads.begin(key, now_ms, patience_ms);
                Outcome::Hit { hit, load }
            }
            Outcome::Plain(FrameReply::Miss { .. }) => Outcome::Plain(match self.loads.begin(key, now_ms, patience_ms) {
                true => FrameReply::Miss { load: true },
                false => FrameReply::Loading,
            }),
            other => other,
        }
    }

    fn write(
        &self,
        state: &State,
        key: Key<'_>,
        item: &FrameItem<'_>,
        place: usize,
        now_ms: u64,
        written: &mut Vec<Written>,
    ) -> Outcome {
        let hash = hash_key(key.namespace, key.key);
        let plan = state.routing.plan(hash);
        if state.me.is_none() || plan.primary() != state.me {
            return Outcome::elsewhere("this node does not order the writes of the key");
        }
        // What its last primary applied comes first: a sum or a condition must not be taken from what was there before.
        if !state.is_handed_over(hash) {
            return Outcome::elsewhere("the key's last primary has not handed it over yet");
        }
        if plan
            .copies
            .iter()
            .any(|copy| state.lane(*copy).is_some_and(super::lane::Lane::is_full))
        {
            return Outcome::elsewhere("too many writes wait for a replica");
        }
        let (outcome, event) = self.change(key, item, now_ms);
        let Some(event) = event else { return outcome };
        self.loads.end(key);
        self.events
            .publish(event, key, || self.store.record(key).map_or(0, |record| record.version));
        if !plan.copies.is_empty()
            && let Some(record) = self.store.record(key)
        {
            written.push(Written {
                place,
                record,
                repeatable: is_repeatable(&item.op),
            });
        }
        outcome
    }

    /// Applies a write to the store; with the event when the store has it now.
    fn change(&self, key: Key<'_>, item: &FrameItem<'_>, now_ms: u64) -> (Outcome, Option<EventKind>) {
        let stored = |stored: Stored| FrameReply::Stored {
            version: stored.version,
            created: stored.created,
        };
        let (reply, event): (Result<FrameReply<'static>, Refusal>, _) = match item.op {
            FrameOp::Put {
                value,
                content_type,
                packing,
                lifetime,
                version,
                condition,
            } => {
                let put = Put {
                    value,
                    content_type,
                    packing,
                    lifetime,
                    version,
                    condition,
                };
                let written = match item.again {
                    true => self.store.put_again(key, put, now_ms),
                    false => self.store.put(key, put, now_ms),
                };
                (written.map(stored), EventKind::Set)
            }
            FrameOp::Touch {
                lifetime,
                version,
                condition,
            } => {
                let touch = Touch {
                    lifetime,
                    version,
                    condition,
                };
                match self.store.touch(key, touch, now_ms) {
                    Ok(None) => return (Outcome::Plain(FrameReply::Miss { load: false }), None),
                    Ok(Some(touched)) => (Ok(stored(touched)), EventKind::Set),
                    Err(refusal) => (Err(refusal), EventKind::Set),
                }
            }
            FrameOp::Delete { version, condition } => {
                let deleted = match item.again {
                    true => self.store.delete_again(key, version, condition, now_ms),
                    false => self.store.delete(key, version, condition, now_ms),
                };
                let reply = deleted.map(|deleted| FrameReply::Deleted {
                    existed: deleted.existed,
                });
                (reply, EventKind::Delete)
            }
            FrameOp::Incr { by, version } => {
                let counter = self.store.incr(key, by, version, now_ms);
                let reply = counter.map(|counter| FrameReply::Counter {
                    value: counter.value,
                    version: counter.version,
                });
                (reply, EventKind::Set)
            }
            FrameOp::Get | FrameOp::Load { .. } => return (Outcome::elsewhere("a read is no write"), None),
        };
        let event = reply.is_ok().then_some(event);
        (reply.into(), event)
    }
}

/// Whether a write that was carried out here may be carried out again under a later stamp: it has no condition that its own
/// first execution may have changed.
const fn is_repeatable(op: &FrameOp<'_>) -> bool {
    match op {
        FrameOp::Put { condition, .. } | FrameOp::Touch { condition, .. } | FrameOp::Delete { condition, .. } => {
            matches!(condition, api::cache::Condition::None)
        }
        _ => false,
    }
}
