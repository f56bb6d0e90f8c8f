//! What a client asks next: a pure function of the seed and of what it was told.

use std::collections::HashMap;
use std::time::Duration;

use fastrand::Rng;

use crate::history::{Answer, Compare, Op, Step, StepAnswer, Value};

/// Keys of each kind in a generation.
const REGISTERS: u8 = 3;
const SWAPS: u8 = 3;
const LISTS: u8 = 2;
const GROUPS: u8 = 2;
/// Keys that transactions touch together.
const GROUP: u8 = 3;
/// A list is not appended to any more.
const LONGEST: usize = 48;

/// A client's choices.
#[derive(Debug)]
pub(super) struct Plan {
    rng: Rng,
    prefix: String,
    generation: u64,
    /// What it was told of a key last, and the revision.
    known: HashMap<String, (Option<Value>, u64)>,
}

impl Plan {
    pub(super) fn new(seed: u64, client: u32, prefix: &str) -> Self {
        Self {
            rng: Rng::with_seed(seed.wrapping_add(u64::from(client) << 32)),
            prefix: prefix.to_owned(),
            generation: 0,
            known: HashMap::new(),
        }
    }

    /// The next request, among the keys of a generation. `value` is one that nobody has written.
    pub(super) fn next(&mut self, generation: u64, value: u64) -> Op {
        if generation != self.generation {
            self.generation = generation;
            self.known.clear();
        }
        match self.rng.u8(..100) {
            0..30 => self.register(value),
            30..50 => self.swap(value),
            50..70 => self.append(value),
            70..92 => self.transaction(value),
            _ => self.look_back(),
        }
    }

    /// Learns what it was told.
    pub(super) fn learn(&mut self, op: &Op, answer: &Answer) {
        match (op, answer) {
            (Op::Read { key, stale: false }, Answer::Read { value, revision }) => self.know(key, value.clone(), *revision),
            (Op::Read { .. }, _) => {}
            (Op::Write { key, value } | Op::Cas { key, value, .. }, _) => match answer {
                Answer::Written { revision } | Answer::Swapped { done: true, revision } => {
                    self.know(key, Some(value.clone()), *revision);
                }
                _ => self.forget(op),
            },
            (Op::Append { key, onto, element, .. }, Answer::Swapped { done: true, revision }) => {
                self.know(key, Some(crate::history::appended(onto, *element)), *revision);
            }
            (Op::Txn { .. }, Answer::Txn { revision, .. }) => {
                let told: Vec<_> = op
                    .taken(answer)
                    .into_iter()
                    .map(|(step, told)| (step.clone(), told.clone()))
                    .collect();
                for (step, told) in told {
                    match (step, told) {
                        (Step::Get { key }, StepAnswer::Got(found)) => match found {
                            Some((value, revision)) => self.know(&key, Some(value), revision),
                            None => self.know(&key, None, 0),
                        },
                        (Step::Put { key, value }, _) => self.know(&key, Some(value), *revision),
                        (Step::Delete { key }, _) => self.know(&key, None, 0),
                        _ => {}
                    }
                }
            }
            _ => self.forget(op),
        }
    }

    /// It no longer knows what these keys hold.
    pub(super) fn forget(&mut self, op: &Op) {
        for key in op.keys() {
            self.known.remove(key);
        }
    }

    /// A pause before the next request.
    pub(super) fn pause(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.rng.f64())
    }

    /// Whether it goes on by another way.
    pub(super) fn moves(&mut self) -> bool {
        self.rng.u8(..20) == 0
    }

    fn know(&mut self, key: &str, value: Option<Value>, revision: u64) {
        self.known.insert(key.to_owned(), (value, revision));
    }

    fn key(&mut self, kind: &str, count: u8) -> String {
        let number = self.rng.u8(..count);
        format!("{}-{kind}{number}.{}", self.prefix, self.generation)
    }

    fn register(&mut self, value: u64) -> Op {
        let key = self.key("reg", REGISTERS);
        match self.rng.u8(..100) {
            0..40 => Op::read(&key),
            40..50 => Op::Read { key, stale: true },
            50..92 => Op::write(&key, value),
            _ => Op::Delete { key },
        }
    }

    fn swap(&mut self, value: u64) -> Op {
        let key = self.key("cas", SWAPS);
        match self.known.get(&key) {
            // One that will be refused, unless nobody else swaps: it is known for long.
            Some((expected, revision)) => Op::Cas {
                expected: expected.clone(),
                value: Value::Int(value),
                revision: *revision,
                key,
            },
            None => Op::read(&key),
        }
    }

    fn append(&mut self, element: u64) -> Op {
        let key = self.key("list", LISTS);
        let onto = match self.known.get(&key) {
            None => return Op::read(&key),
            Some((None, revision)) => (Vec::new(), *revision),
            Some((Some(Value::List(list)), revision)) if list.len() < LONGEST => (list.clone(), *revision),
            Some(_) => return Op::read(&key),
        };
        // Known from an earlier read, or from this client's last append: both happen.
        if self.rng.u8(..4) == 0 {
            return Op::read(&key);
        }
        let (onto, revision) = onto;
        Op::Append {
            key,
            onto,
            element,
            revision,
        }
    }

    fn transaction(&mut self, value: u64) -> Op {
        let group = self.rng.u8(..GROUPS);
        let mut keys: Vec<_> = (0..GROUP)
            .map(|number| format!("{}-txn{group}{number}.{}", self.prefix, self.generation))
            .collect();
        self.rng.shuffle(&mut keys);
        let gets = || keys.iter().map(|key| Step::Get { key: key.clone() }).collect::<Vec<_>>();
        // Both hold the value of this transaction: a reader that sees them apart has seen half of it.
        let put = |key: &String| Step::Put {
            key: key.clone(),
            value: Value::Int(value),
        };
        let txn = |compare, then, otherwise| Op::Txn {
            compare,
            then,
            otherwise,
        };
        match self.rng.u8(..10) {
            0..3 => txn(Vec::new(), gets(), Vec::new()),
            3 => Op::read(&keys[0]),
            4 => Op::write(&keys[0], value),
            5 => {
                let get = Step::Get { key: keys[2].clone() };
                txn(Vec::new(), vec![put(&keys[0]), put(&keys[1]), get], Vec::new())
            }
            6 => {
                let delete = Step::Delete { key: keys[0].clone() };
                txn(Vec::new(), vec![delete, put(&keys[1])], Vec::new())
            }
            _ => {
                let mut compare = Vec::new();
                for key in &keys[..self.rng.usize(1..3)] {
                    let (expected, revision) = self.known.get(key).cloned().unwrap_or_default();
                    // By revision or by value, which say the same.
                    let revision = if self.rng.bool() { revision } else { 0 };
                    compare.push(Compare {
                        key: key.clone(),
                        expected,
                        revision,
                    });
                }
                txn(compare, vec![put(&keys[0]), put(&keys[1])], gets())
            }
        }
    }

    /// Reads what was written long ago.
    fn look_back(&mut self) -> Op {
        let generation = self.generation;
        self.generation = self.rng.u64(..=generation);
        let key = match self.rng.u8(..3) {
            0 => self.key("reg", REGISTERS),
            1 => self.key("cas", SWAPS),
            _ => self.key("list", LISTS),
        };
        self.generation = generation;
        let stale = self.rng.u8(..4) == 0;
        Op::Read { key, stale }
    }
}

#[cfg(test)]
mod tests;
