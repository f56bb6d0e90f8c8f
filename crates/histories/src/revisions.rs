//! Whether revisions are what they promise: one order of all changes, in which real time is kept. Fast on any history, and
//! independent of the search for an order.

use std::collections::HashMap;

use crate::history::{Answer, Event, Op, Operation, Seen, StepAnswer, Value, What};
use crate::provenance::shown;

/// What is wrong, in words.
#[must_use]
pub fn check(operations: &[Operation], events: &[Event]) -> Vec<String> {
    let mut wrong = named_once(operations, events);
    wrong.extend(in_time(operations, events));
    wrong
}

/// A revision of a key is one value, whoever tells of it; and no two operations changed something at the same revision.
fn named_once(operations: &[Operation], events: &[Event]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut values: HashMap<(&str, u64), Option<Value>> = HashMap::new();
    let mut writers: HashMap<u64, &Operation> = HashMap::new();
    let mut learn = |key, revision, value: Option<Value>, who: &dyn Fn() -> String| {
        if revision == 0 {
            // Not told.
            return;
        }
        let held = values.entry((key, revision)).or_insert_with(|| value.clone());
        if *held != value {
            let show = |value: &Option<Value>| crate::history::Shown(value.as_ref()).to_string();
            wrong.push(format!(
                "{}: {key} at revision {revision} is {}, and is {} too",
                who(),
                show(&value),
                show(held)
            ));
        }
    };
    let mut shared = Vec::new();
    for operation in operations {
        let Some(answer) = operation.answer() else { continue };
        let who = || format!("p{} «{operation}»", operation.process);
        for (key, value, revision) in shown(operation, answer) {
            learn(key, revision, Some(value.clone()), &who);
        }
        let revision = answer.write_revision(&operation.op);
        if revision == 0 {
            continue;
        }
        for (key, value) in written(operation, answer) {
            learn(key, revision, Some(value), &who);
        }
        if let Some(other) = writers.insert(revision, operation) {
            shared.push(format!(
                "revision {revision} is claimed twice: p{} «{other}», {}",
                other.process,
                who()
            ));
        }
    }
    for event in events {
        if let What::Watch {
            seen: Seen::Change { key, value, revision },
        } = &event.what
        {
            learn(key, *revision, value.clone(), &|| format!("watcher p{}", event.process));
        }
    }
    wrong.extend(shared);
    wrong
}

/// What an operation that was answered has written.
pub(crate) fn written<'a>(operation: &'a Operation, answer: &'a Answer) -> Vec<(&'a str, Value)> {
    match &operation.op {
        Op::Txn { .. } => {
            let taken = operation.op.taken(answer).into_iter();
            taken
                .filter_map(|(step, told)| match (step, told) {
                    (crate::history::Step::Put { key, value }, StepAnswer::Put) => Some((key.as_str(), value.clone())),
                    _ => None,
                })
                .collect()
        }
        op => op.produces(),
    }
}

/// What began after a revision was known to somebody sees it, or makes a later one.
fn in_time(operations: &[Operation], events: &[Event]) -> Vec<String> {
    let mut wrong = Vec::new();
    // Moments at which something became known, and at which something began.
    let mut moments: Vec<(u64, Moment<'_>)> = Vec::new();
    for operation in operations {
        let Some(answer) = operation.answer() else { continue };
        moments.push((operation.called, Moment::Began(operation)));
        moments.push((operation.returned.unwrap_or(u64::MAX), Moment::Told(operation, answer)));
    }
    for event in events {
        if let What::Watch {
            seen: Seen::Change { key, revision, .. },
        } = &event.what
        {
            moments.push((event.at, Moment::Seen(key, *revision)));
        }
    }
    moments.sort_by_key(|(at, _)| *at);
    let mut latest = 0;
    let mut of_keys: HashMap<&str, u64> = HashMap::new();
    // Of operations under way: the latest revision of all, and of each key that is read, when it began.
    let mut floors: HashMap<u64, (u64, HashMap<&str, u64>)> = HashMap::new();
    for (_, moment) in moments {
        match moment {
            Moment::Began(operation) => {
                let keys = operation.op.keys().into_iter();
                let keys = keys.map(|key| (key, of_keys.get(key).copied().unwrap_or(0))).collect();
                floors.insert(operation.called, (latest, keys));
            }
            Moment::Told(operation, answer) => {
                let (floor, keys) = floors.remove(&operation.called).unwrap_or_default();
                let revision = answer.write_revision(&operation.op);
                if revision != 0 && revision <= floor {
                    wrong.push(format!(
                        "p{} «{operation}» began after revision {floor} was known",
                        operation.process
                    ));
                }
                for (key, _, read) in shown(operation, answer) {
                    let floor = keys.get(key).copied().unwrap_or(0);
                    if read != 0 && read < floor && !operation.op.is_stale_read() {
                        wrong.push(format!(
                            "p{} «{operation}» began after {key} was known to be at revision {floor}",
                            operation.process
                        ));
                    }
                    raise(&mut of_keys, key, read);
                    latest = latest.max(read);
                }
                if revision != 0 {
                    for (key, _) in written(operation, answer) {
                        raise(&mut of_keys, key, revision);
                    }
                    latest = latest.max(revision);
                }
            }
            Moment::Seen(key, revision) => {
                raise(&mut of_keys, key, revision);
                latest = latest.max(revision);
            }
        }
    }
    wrong
}

enum Moment<'a> {
    Began(&'a Operation),
    Told(&'a Operation, &'a Answer),
    Seen(&'a str, u64),
}

fn raise<'a>(of_keys: &mut HashMap<&'a str, u64>, key: &'a str, revision: u64) {
    let held = of_keys.entry(key).or_insert(0);
    *held = revision.max(*held);
}
