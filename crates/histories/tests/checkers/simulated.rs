//! Histories of a store that is linearizable by construction, and of ones that are a little less so.

use std::collections::BTreeMap;

use fastrand::Rng;
use histories::History;
use histories::history::{Answer, Compare, Op, Recorder, Step, StepAnswer, Value, What};

use crate::other::execute;

/// How a history is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Clients at once.
    pub(crate) clients: u32,
    /// Operations.
    pub(crate) operations: usize,
    /// Keys; a transaction touches some of them.
    pub(crate) keys: usize,
    /// Whether every value is written once.
    pub(crate) unique: bool,
    /// Of a hundred operations, how many nobody hears the end of.
    pub(crate) lost: u8,
    /// Whether there are transactions.
    pub(crate) transactions: bool,
}

struct Client {
    process: u32,
    op: Op,
    answer: Option<Answer>,
}

struct Simulation {
    shape: Shape,
    rng: Rng,
    recorder: Recorder,
    keys: BTreeMap<String, Value>,
    values: u64,
}

/// A history that is linearizable: each operation takes effect at one moment between its beginning and its end.
pub(crate) fn history(shape: Shape, seed: u64) -> History {
    let mut simulation = Simulation {
        shape,
        rng: Rng::with_seed(seed),
        recorder: Recorder::default(),
        keys: BTreeMap::new(),
        values: 0,
    };
    simulation.run();
    let mut history = History::new(seed, "simulated");
    history.events = simulation.recorder.events();
    history
}

impl Simulation {
    fn run(&mut self) {
        let mut clients: Vec<Option<Client>> = (0..self.shape.clients).map(|_| None).collect();
        let mut processes: Vec<u32> = clients.iter().map(|_| self.recorder.process()).collect();
        // Those of whom nobody will hear again, but that may still happen.
        let mut ghosts: Vec<Op> = Vec::new();
        let mut left = self.shape.operations;
        while left > 0 || clients.iter().any(Option::is_some) {
            if !ghosts.is_empty() && self.rng.u8(..8) == 0 {
                let ghost = ghosts.swap_remove(self.rng.usize(..ghosts.len()));
                execute(&mut self.keys, &ghost);
            }
            let index = self.rng.usize(..clients.len());
            match clients[index].take() {
                None if left > 0 => {
                    left -= 1;
                    let op = self.op();
                    self.recorder.invoke(processes[index], &op, "");
                    let process = processes[index];
                    clients[index] = Some(Client {
                        process,
                        op,
                        answer: None,
                    });
                }
                None => {}
                Some(Client {
                    process,
                    op,
                    answer: None,
                }) => match self.rng.u8(..100) {
                    0..3 => self.recorder.fail(process, "refused"),
                    roll if roll < 3 + self.shape.lost => {
                        self.recorder.info(process, "lost");
                        processes[index] = self.recorder.process();
                        ghosts.push(op);
                    }
                    _ => {
                        let answer = Some(execute(&mut self.keys, &op));
                        clients[index] = Some(Client { process, op, answer });
                    }
                },
                Some(Client {
                    process,
                    answer: Some(answer),
                    ..
                }) => {
                    if self.rng.u8(..100) < self.shape.lost {
                        self.recorder.info(process, "lost");
                        processes[index] = self.recorder.process();
                    } else {
                        self.recorder.ok(process, answer);
                    }
                }
            }
        }
    }

    fn op(&mut self) -> Op {
        let key = self.key();
        let kinds = if self.shape.transactions { 10 } else { 8 };
        match self.rng.u8(..kinds) {
            0..3 => Op::read(&key),
            3 => Op::Write {
                key,
                value: self.value(),
            },
            4 => Op::Delete { key },
            5..7 => {
                let expected = self.held(&key);
                let value = self.value();
                Op::Cas {
                    key,
                    expected,
                    value,
                    revision: 0,
                }
            }
            7 => {
                let onto = match self.held(&key) {
                    Some(Value::List(list)) => list,
                    _ => Vec::new(),
                };
                let element = self.number();
                Op::Append {
                    key,
                    onto,
                    element,
                    revision: 0,
                }
            }
            _ => {
                let compares = self.rng.usize(..3);
                let compare = (0..compares).map(|_| {
                    let key = self.key();
                    let expected = self.held(&key);
                    Compare {
                        key,
                        expected,
                        revision: 0,
                    }
                });
                let compare = compare.collect();
                let then = self.steps();
                let otherwise = self.steps();
                Op::Txn {
                    compare,
                    then,
                    otherwise,
                }
            }
        }
    }

    /// At most one write of a key, as in the real store.
    fn steps(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for index in 0..self.shape.keys {
            let key = format!("k{index}");
            match self.rng.u8(..6) {
                0 => steps.push(Step::Get { key }),
                1 => {
                    let value = self.value();
                    steps.push(Step::Put { key, value });
                }
                2 => steps.push(Step::Delete { key }),
                _ => {}
            }
        }
        steps
    }

    /// Mostly what a key holds now.
    fn held(&mut self, key: &str) -> Option<Value> {
        match self.rng.u8(..5) {
            0 => None,
            1 => Some(Value::Int(self.rng.u64(..=self.values))),
            _ => self.keys.get(key).cloned(),
        }
    }

    fn key(&mut self) -> String {
        format!("k{}", self.rng.usize(..self.shape.keys))
    }

    fn value(&mut self) -> Value {
        Value::Int(self.number())
    }

    fn number(&mut self) -> u64 {
        if self.shape.unique {
            self.values += 1;
            self.values
        } else {
            self.rng.u64(..3)
        }
    }
}

/// Changes something in a history, which may make it a bad one.
pub(crate) fn mutated(mut history: History, rng: &mut Rng) -> History {
    let values: Vec<Value> = history
        .operations()
        .expect("it makes sense")
        .iter()
        .flat_map(|operation| {
            operation
                .op
                .produces()
                .into_iter()
                .map(|(_, value)| value)
                .collect::<Vec<_>>()
        })
        .collect();
    for _ in 0..=rng.usize(..2) {
        let index = rng.usize(..history.events.len());
        let other = (index + rng.usize(1..6)).min(history.events.len() - 1);
        let different = history.events[index].process != history.events[other].process;
        match &mut history.events[index].what {
            What::Ok { answer } if rng.u8(..4) > 0 => change(answer, &values, rng),
            What::Info { .. } => {
                history.events[index].what = What::Fail {
                    reason: "changed".to_owned(),
                };
            }
            // Another order of time.
            _ if different && index + 1 == other => {
                let (one, two) = (history.events[index].clone(), history.events[other].clone());
                history.events[index] = crate::simulated::at(two, one.at);
                history.events[other] = crate::simulated::at(one, history.events[other].at);
            }
            _ => {}
        }
    }
    // Times follow the order again.
    for (at, event) in (1..).zip(&mut history.events) {
        event.at = at;
    }
    history
}

fn at(mut event: histories::history::Event, at: u64) -> histories::history::Event {
    event.at = at;
    event
}

fn change(answer: &mut Answer, values: &[Value], rng: &mut Rng) {
    let mut any = || {
        let index = rng.usize(..=values.len());
        values.get(index).cloned()
    };
    match answer {
        Answer::Read { value, .. } => *value = any(),
        Answer::Written { .. } => {}
        Answer::Deleted { existed } => *existed = !*existed,
        Answer::Swapped { done, .. } => *done = !*done,
        Answer::Txn { steps, .. } => {
            for step in steps {
                match step {
                    StepAnswer::Got(found) => *found = any().map(|value| (value, 0)),
                    StepAnswer::Deleted(existed) => *existed = !*existed,
                    StepAnswer::Put => {}
                }
            }
        }
    }
}
