//! Clients: each asks one thing at a time, of any master, and writes down what it was told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;

use super::record::{Ask, Record, Told};
use super::world::{Running, World};
use crate::types::{Compare, KeyValue, Op, OpResult, Range, Txn};

/// A client waits no longer.
const PATIENCE: Duration = Duration::from_secs(9);
/// Elements of a list.
const LONGEST: usize = 40;

/// A client.
pub(super) struct Client {
    world: Arc<World>,
    number: u32,
    rng: Rng,
    written: u32,
    /// What it heard of a key last.
    known: BTreeMap<String, Option<KeyValue>>,
    /// Longest pause between two questions.
    pause: Duration,
}

impl Client {
    pub(super) fn new(world: &Arc<World>, number: u32, rng: Rng, pause: Duration) -> Self {
        Self {
            world: Arc::clone(world),
            number,
            rng,
            written: 0,
            known: BTreeMap::new(),
            pause,
        }
    }

    pub(super) async fn run(mut self) {
        while !self.world.is_over() {
            let pause = self.pause.mul_f64(self.rng.f64());
            tokio::time::sleep(pause).await;
            let running = self.world.running();
            if !running.is_empty() {
                let master = running[self.rng.usize(..running.len())].clone();
                let ask = self.next();
                self.ask(master, ask).await;
            }
        }
    }

    async fn ask(&mut self, master: Running, ask: Ask) {
        let via = (master.name.clone(), master.incarnation);
        let called = self.world.moment();
        let (asking, process) = (ask.clone(), Arc::clone(&master.process));
        self.world
            .trace
            .note(format_args!("{} asks {}: {ask:?}", self.number, master.name));
        let asked = process.spawn(asking.of(master));
        let told = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(Ok(told))) => told,
            Ok(Ok(Err(error))) => ask.failed(&error),
            Ok(Err(_)) => Told::Unknown("the process ended".to_owned()),
            Err(_) => Told::Unknown("no answer".to_owned()),
        };
        self.world.trace.note(format_args!("{} is told {told:?}", self.number));
        self.learn(&ask, &told);
        let returned = match &told {
            Told::Unknown(_) => u64::MAX,
            _ => self.world.moment(),
        };
        self.world.records.lock().push(Record {
            client: self.number,
            called,
            returned,
            ask,
            told,
            via,
        });
    }

    fn learn(&mut self, ask: &Ask, told: &Told) {
        match (ask, told) {
            (Ask::Get { key, stale: false }, Told::Got(held)) => {
                self.known.insert(key.clone(), held.clone());
            }
            (Ask::Txn { txn, .. }, told) => {
                for op in txn.then.iter().chain(&txn.otherwise) {
                    if let Op::Put { key, .. } | Op::Delete { key } | Op::Get { key } = op {
                        self.known.remove(key);
                    }
                }
                let Told::Done(answer) = told else { return };
                let branch = if answer.succeeded { &txn.then } else { &txn.otherwise };
                for (op, result) in branch.iter().zip(&answer.results) {
                    if let (Op::Get { key }, OpResult::Range(listing)) = (op, result) {
                        self.known.insert(key.clone(), listing.items.first().cloned());
                    }
                }
            }
            _ => {}
        }
    }

    fn mark(&mut self) -> String {
        self.written += 1;
        format!("c{}-{}", self.number, self.written)
    }

    fn key(&mut self, kind: &str, count: u32) -> String {
        format!("kv/{kind}{}", self.rng.u32(..count))
    }

    fn next(&mut self) -> Ask {
        match self.rng.u32(..100) {
            0..24 => {
                let key = self.key("r", 3);
                self.write(Vec::new(), &key, None)
            }
            24..36 => {
                let key = self.key("r", 3);
                Ask::Get { key, stale: false }
            }
            36..44 => {
                let kind = ["r", "l", "t"][self.rng.usize(..3)];
                let key = self.key(kind, 2);
                Ask::Get { key, stale: true }
            }
            44..49 => Ask::List {
                prefix: "kv/r".to_owned(),
            },
            49..64 => self.swap(),
            64..79 => self.append(),
            79..94 => self.transfer(),
            94..97 => self.delete(),
            _ => Ask::Txn {
                txn: Txn {
                    then: vec![get("kv/t0"), get("kv/t1"), Op::Range(Range::prefix("kv/l"))],
                    ..Txn::default()
                },
                mark: None,
            },
        }
    }

    fn write(&mut self, compares: Vec<Compare>, key: &str, list: Option<&str>) -> Ask {
        let mark = self.mark();
        let value = list.map_or_else(|| mark.clone(), |list| format!("{list},{mark}"));
        let otherwise = if compares.is_empty() { Vec::new() } else { vec![get(key)] };
        let txn = Txn {
            compares,
            then: vec![put(key, value)],
            otherwise,
        };
        Ask::Txn { txn, mark: Some(mark) }
    }

    /// Swaps what it last saw, which may be long ago.
    fn swap(&mut self) -> Ask {
        let key = self.key("r", 3);
        match self.known.get(&key).cloned() {
            Some(held) => {
                let compare = self.condition(&key, held.as_ref());
                self.write(vec![compare], &key, None)
            }
            None => Ask::Get { key, stale: false },
        }
    }

    fn append(&mut self) -> Ask {
        let key = self.key("l", 2);
        match self.known.get(&key).cloned() {
            Some(held) => {
                let list = held
                    .as_ref()
                    .map(|pair| String::from_utf8_lossy(&pair.value).into_owned())
                    .unwrap_or_default();
                let compare = self.condition(&key, held.as_ref());
                let long = list.split(',').count() > LONGEST;
                self.write(vec![compare], &key, if long { None } else { Some(&list) })
            }
            None => Ask::Get { key, stale: false },
        }
    }

    /// Two keys at once; a reader must never see one of them alone.
    fn transfer(&mut self) -> Ask {
        let mark = self.mark();
        let mut compares = Vec::new();
        if self.rng.bool()
            && let Some(held) = self.known.get("kv/t0").cloned()
        {
            compares.push(self.condition("kv/t0", held.as_ref()));
        }
        let txn = Txn {
            compares,
            then: vec![put("kv/t0", mark.clone()), put("kv/t1", mark.clone()), get("kv/r0")],
            otherwise: vec![get("kv/t0"), get("kv/t1")],
        };
        Ask::Txn { txn, mark: Some(mark) }
    }

    fn delete(&mut self) -> Ask {
        let (key, mark) = (self.key("r", 3), self.mark());
        let txn = Txn {
            then: vec![Op::Delete { key }, put("kv/deleted", mark.clone())],
            ..Txn::default()
        };
        Ask::Txn { txn, mark: Some(mark) }
    }

    fn condition(&mut self, key: &str, held: Option<&KeyValue>) -> Compare {
        let key = key.to_owned();
        match held {
            None => Compare::Absent(key),
            Some(pair) if self.rng.bool() => Compare::ModRevision(key, pair.mod_revision),
            Some(pair) => Compare::Value(key, pair.value.clone()),
        }
    }
}

fn get(key: &str) -> Op {
    Op::Get { key: key.to_owned() }
}

fn put(key: &str, value: String) -> Op {
    Op::Put {
        key: key.to_owned(),
        value: Bytes::from(value),
        lease: None,
    }
}
