//! What a client does next.

use std::time::Duration;

use fastrand::Rng;

use super::door::Reply;
use super::{Condition, Key, Op, Outcome, Told};

/// Keys that a client writes and rewrites.
pub(super) const HOT: u16 = 24;
/// Counters of all.
pub(super) const COUNTERS: u16 = 4;

/// One of many clients.
#[derive(Debug)]
pub(super) struct Plan {
    client: u16,
    clients: u16,
    /// Keys that it writes once, before the fault, and never again: what a change of the ring must carry along.
    cold: u16,
    rng: Rng,
    keys: Vec<State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    /// Writes so far.
    writes: u32,
    /// The last two puts that were acknowledged, the newest last, with their ETags.
    tags: Vec<(u32, String)>,
}

/// A request to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) key: Key,
    pub(super) op: Op,
    pub(super) etag: Option<String>,
}

impl Plan {
    pub(super) fn new(client: u16, clients: u16, cold: u16, seed: u64) -> Self {
        Self {
            client,
            clients,
            cold,
            rng: Rng::with_seed(seed.wrapping_add(u64::from(client) << 32)),
            keys: vec![State::default(); usize::from(HOT + cold)],
        }
    }

    /// The writes that come before everything else: one of each key.
    pub(super) fn first(&mut self) -> Vec<Step> {
        (0..HOT + self.cold)
            .map(|number| self.put(number, None, Condition::None))
            .collect()
    }

    /// The next request.
    pub(super) fn next(&mut self) -> Step {
        let hot = self.rng.u16(..HOT);
        match self.rng.u8(..100) {
            0..25 => self.get(self.client, HOT),
            25..55 => {
                let client = self.rng.u16(..self.clients);
                self.get(client, HOT + self.cold)
            }
            55..77 => self.put(hot, None, Condition::None),
            77..82 => {
                let ttl = Duration::from_secs(self.rng.u64(1..=3));
                self.put(hot, Some(ttl), Condition::None)
            }
            82..87 => self.put(hot, None, Condition::Absent),
            87..92 => self.compare(hot),
            92..97 => {
                let (key, write) = self.write(hot);
                Step::plain(key, Op::Delete { write })
            }
            _ => Step::plain(Key::Counter(self.rng.u16(..COUNTERS)), Op::Incr),
        }
    }

    /// Learns how a request ended.
    pub(super) fn learn(&mut self, step: &Step, reply: &Reply) {
        let (Key::Own { client, number }, Op::Put { write, .. }) = (step.key, step.op) else {
            return;
        };
        if matches!(reply.outcome, Outcome::Done(Told::Stored { .. })) && client == self.client {
            let tags = &mut self.keys[usize::from(number)].tags;
            tags.push((write, reply.etag.clone()));
            if tags.len() > 2 {
                tags.remove(0);
            }
        }
    }

    /// A pause between two requests.
    pub(super) fn pause(&mut self) -> Duration {
        Duration::from_millis(self.rng.u64(4..16))
    }

    /// A door to begin with, or to go to from one that failed.
    pub(super) fn door(&mut self, doors: usize) -> usize {
        self.rng.usize(..doors)
    }

    fn get(&mut self, client: u16, numbers: u16) -> Step {
        let number = self.rng.u16(..numbers);
        Step::plain(Key::Own { client, number }, Op::Get)
    }

    fn put(&mut self, number: u16, ttl: Option<Duration>, condition: Condition) -> Step {
        let (key, write) = self.write(number);
        Step::plain(key, Op::Put { write, ttl, condition })
    }

    /// A write on condition that the key still holds the value of an earlier one: mostly the last one.
    fn compare(&mut self, number: u16) -> Step {
        let tags = &self.keys[usize::from(number)].tags;
        let tag = if self.rng.u8(..4) == 0 { tags.first() } else { tags.last() };
        let Some((held, etag)) = tag.cloned() else {
            return self.put(number, None, Condition::None);
        };
        Step {
            etag: Some(etag),
            ..self.put(number, None, Condition::Holds(held))
        }
    }

    fn write(&mut self, number: u16) -> (Key, u32) {
        let state = &mut self.keys[usize::from(number)];
        state.writes += 1;
        let client = self.client;
        (Key::Own { client, number }, state.writes)
    }
}

impl Step {
    pub(super) const fn plain(key: Key, op: Op) -> Self {
        Self { key, op, etag: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLD: u16 = 10;

    #[test]
    fn seed_gives_the_same_steps_and_every_kind_of_request_is_among_them() {
        let steps = |seed| {
            let mut plan = Plan::new(1, 4, COLD, seed);
            let mut steps = plan.first();
            for _ in 0..2000 {
                let step = plan.next();
                let stored = Reply {
                    outcome: Outcome::Done(Told::Stored { created: false }),
                    etag: format!("\"{}\"", steps.len()),
                    node: String::new(),
                };
                plan.learn(&step, &stored);
                steps.push(step);
            }
            steps
        };
        assert_eq!(steps(7), steps(7));
        assert_ne!(steps(7), steps(8));
        let steps = steps(7);
        let has = |wanted: &dyn Fn(&Step) -> bool| assert!(steps.iter().any(wanted));
        has(&|step| step.op == Op::Incr);
        has(&|step| step.op == Op::Get && step.key != Key::Own { client: 1, number: 0 });
        has(&|step| matches!(step.op, Op::Delete { .. }));
        has(&|step| matches!(step.op, Op::Put { ttl: Some(_), .. }));
        has(&|step| {
            matches!(
                step.op,
                Op::Put {
                    condition: Condition::Absent,
                    ..
                }
            )
        });
        has(&|step| {
            matches!(
                step.op,
                Op::Put {
                    condition: Condition::Holds(_),
                    ..
                }
            ) && step.etag.is_some()
        });
        // One writer per key, and what is cold stays as it was.
        for step in &steps[usize::from(HOT + COLD)..] {
            if let (Key::Own { client, number }, Op::Put { .. } | Op::Delete { .. }) = (step.key, step.op) {
                assert!(client == 1 && number < HOT, "{step:?}");
            }
        }
    }
}
