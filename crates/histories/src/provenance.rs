//! Whether everything that was seen was written: by an operation that had been sent by then and was not refused. This binds
//! stale reads and watches too, which may be late but must not invent.

use std::collections::HashMap;

use crate::history::{Answer, Event, Operation, Seen, StepAnswer, Value, What};

/// Who could have written a value.
#[derive(Debug, Clone, Copy)]
struct Origin<'a> {
    sent: u64,
    failed: Option<&'a Operation>,
}

/// What is wrong, in words.
#[must_use]
pub fn check(operations: &[Operation], events: &[Event]) -> Vec<String> {
    let mut origins: HashMap<(&str, Value), Origin<'_>> = HashMap::new();
    for operation in operations {
        for value in operation.op.produces() {
            let origin = Origin {
                sent: operation.called,
                failed: operation.has_failed().then_some(operation),
            };
            let held = origins.entry(value).or_insert(origin);
            // Of several possible writers, the first that may have done it.
            if held.failed.is_some() {
                *held = origin;
            }
        }
    }
    let mut wrong = Vec::new();
    let mut judge = |key: &str, value: &Value, at: u64, who: &dyn Fn() -> String| match origins.get(&(key, value.clone())) {
        None => wrong.push(format!("{} showed {key} = {value}, which nobody wrote", who())),
        Some(origin) if origin.sent > at => {
            wrong.push(format!("{} showed {key} = {value} before it was written", who()));
        }
        Some(Origin {
            failed: Some(failed), ..
        }) => {
            wrong.push(format!("{} showed {key} = {value}, but: p{} {failed}", who(), failed.process));
        }
        Some(_) => {}
    };
    for operation in operations {
        let Some(answer) = operation.answer() else { continue };
        let at = operation.returned.unwrap_or(u64::MAX);
        let who = || format!("p{} «{}» at {} ms", operation.process, operation.op, operation.us.1 / 1000);
        for (key, value, _) in shown(operation, answer) {
            judge(key, value, at, &who);
        }
    }
    for event in events {
        if let What::Watch {
            seen: Seen::Change {
                key,
                value: Some(value),
                revision,
            },
        } = &event.what
        {
            judge(key, value, event.at, &|| {
                format!("watcher p{} at revision {revision}", event.process)
            });
        }
    }
    wrong
}

/// Values that an answer shows, with the revisions that wrote them.
pub(crate) fn shown<'a>(operation: &'a Operation, answer: &'a Answer) -> Vec<(&'a str, &'a Value, u64)> {
    match (&operation.op, answer) {
        (
            crate::history::Op::Read { key, .. },
            Answer::Read {
                value: Some(value),
                revision,
            },
        ) => vec![(key, value, *revision)],
        (op, Answer::Txn { .. }) => {
            let steps = op.taken(answer).into_iter();
            steps
                .filter_map(|(step, told)| match told {
                    StepAnswer::Got(Some((value, revision))) => Some((step.key(), value, *revision)),
                    _ => None,
                })
                .collect()
        }
        _ => Vec::new(),
    }
}
