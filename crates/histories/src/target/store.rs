//! A control store in this process, with the keys where masters keep the user's.

use std::sync::Arc;

use async_trait::async_trait;
use control::{Consistency, ControlStore, Error, Event, KeyValue, OpResult, Txn, TxnResponse};
use futures::{StreamExt, stream};

use super::{COMPACTED, Change, Changes, Outcome, Position, Target};
use crate::history::{Answer, Compare, Op, Step, StepAnswer, Value};

/// Where masters keep the user's keys.
const PREFIX: &str = "kv/";

/// A store, asked without a network between.
#[derive(Debug, Clone)]
pub struct StoreTarget {
    name: String,
    store: Arc<dyn ControlStore>,
}

impl StoreTarget {
    /// Over a store.
    #[must_use]
    pub fn new(name: &str, store: Arc<dyn ControlStore>) -> Self {
        let name = name.to_owned();
        Self { name, store }
    }

    async fn try_ask(&self, op: &Op) -> Result<Answer, Error> {
        match op {
            Op::Read { key, stale } => {
                let consistency = if *stale {
                    Consistency::Stale
                } else {
                    Consistency::Linearizable
                };
                let found = self.store.get(&stored(key), consistency).await?;
                Ok(Answer::Read {
                    revision: found.as_ref().map_or(0, |pair| pair.mod_revision),
                    value: found.map(|pair| Value::from_bytes(&pair.value)),
                })
            }
            Op::Write { key, value } => {
                let answer = self.commit(Vec::new(), vec![put(key, value)]).await?;
                Ok(Answer::Written {
                    revision: answer.revision,
                })
            }
            Op::Delete { key } => {
                let answer = self
                    .commit(Vec::new(), vec![control::Op::Delete { key: stored(key) }])
                    .await?;
                let existed = matches!(answer.results.first(), Some(OpResult::Deleted(1..)));
                Ok(Answer::Deleted { existed })
            }
            Op::Cas {
                key, value, revision, ..
            } => self.swap(key, value, *revision).await,
            Op::Append {
                key,
                onto,
                element,
                revision,
            } => self.swap(key, &crate::history::appended(onto, *element), *revision).await,
            Op::Txn {
                compare,
                then,
                otherwise,
            } => {
                let txn = Txn {
                    compares: compare.iter().map(condition).collect(),
                    then: then.iter().map(step).collect(),
                    otherwise: otherwise.iter().map(step).collect(),
                };
                let answer = self.store.txn(txn).await?;
                Ok(Answer::Txn {
                    succeeded: answer.succeeded,
                    revision: answer.revision,
                    steps: answer.results.into_iter().map(told).collect(),
                })
            }
        }
    }

    async fn swap(&self, key: &str, value: &Value, revision: u64) -> Result<Answer, Error> {
        let answer = self.commit(vec![at(key, revision)], vec![put(key, value)]).await?;
        Ok(Answer::Swapped {
            done: answer.succeeded,
            revision: if answer.succeeded { answer.revision } else { 0 },
        })
    }

    async fn commit(&self, compares: Vec<control::Compare>, then: Vec<control::Op>) -> Result<TxnResponse, Error> {
        let otherwise = Vec::new();
        self.store
            .txn(Txn {
                compares,
                then,
                otherwise,
            })
            .await
    }
}

#[async_trait]
impl Target for StoreTarget {
    fn name(&self) -> &str {
        &self.name
    }

    async fn ask(&self, op: &Op) -> Outcome {
        match self.try_ask(op).await {
            Ok(answer) => Outcome::Done(answer),
            // A read that fails has done nothing, however it fails.
            Err(error) if matches!(op, Op::Read { .. }) => Outcome::NotExecuted(error.to_string()),
            Err(error @ (Error::Timeout(_) | Error::Damaged(_))) => Outcome::Unknown(error.to_string()),
            Err(error) => Outcome::NotExecuted(error.to_string()),
        }
    }

    async fn watch(&self, prefix: &str, begin: &Position) -> Result<Changes, String> {
        let Position::From(from) = begin else {
            return Err("a store gives no ids".to_owned());
        };
        let watch = self.store.watch(stored(prefix), *from).await.map_err(|error| match error {
            Error::Compacted { .. } => COMPACTED.to_owned(),
            error => error.to_string(),
        })?;
        let changes = watch.flat_map(|item| {
            stream::iter(match item {
                Ok(events) => changes(events),
                Err(Error::Compacted { .. }) => vec![Change::Compacted],
                Err(error) => vec![Change::Broken(error.to_string())],
            })
        });
        Ok(changes.boxed())
    }
}

fn changes(events: Vec<Event>) -> Vec<Change> {
    let last = events.len().saturating_sub(1);
    let changes = events.into_iter().enumerate().map(|(index, event)| {
        let revision = event.revision();
        let (key, value) = match event {
            Event::Put(KeyValue { key, value, .. }) => (key, Some(Value::from_bytes(&value))),
            Event::Delete { key, .. } => (key, None),
        };
        Change::Key {
            key: key.strip_prefix(PREFIX).unwrap_or(&key).to_owned(),
            value,
            revision,
            whole: index == last,
            resume: (index == last).then_some(Position::From(revision + 1)),
        }
    });
    changes.collect()
}

fn stored(key: &str) -> String {
    format!("{PREFIX}{key}")
}

fn put(key: &str, value: &Value) -> control::Op {
    control::Op::Put {
        key: stored(key),
        value: value.to_bytes(),
        lease: None,
    }
}

fn at(key: &str, revision: u64) -> control::Compare {
    match revision {
        0 => control::Compare::Absent(stored(key)),
        revision => control::Compare::ModRevision(stored(key), revision),
    }
}

fn condition(compare: &Compare) -> control::Compare {
    match &compare.expected {
        Some(value) if compare.revision == 0 => control::Compare::Value(stored(&compare.key), value.to_bytes()),
        _ => at(&compare.key, compare.revision),
    }
}

fn step(step: &Step) -> control::Op {
    match step {
        Step::Get { key } => control::Op::Get { key: stored(key) },
        Step::Put { key, value } => put(key, value),
        Step::Delete { key } => control::Op::Delete { key: stored(key) },
    }
}

fn told(result: OpResult) -> StepAnswer {
    match result {
        OpResult::Put => StepAnswer::Put,
        OpResult::Deleted(count) => StepAnswer::Deleted(count > 0),
        OpResult::Range(listing) => StepAnswer::Got(
            listing
                .items
                .into_iter()
                .next()
                .map(|pair| (Value::from_bytes(&pair.value), pair.mod_revision)),
        ),
    }
}
