//! The other checker: `todc-utils`, over a sequential store written for it alone, and with no splitting by keys.

use std::collections::BTreeMap;

use histories::History;
use histories::history::{Answer, Op, Operation, Step, StepAnswer, Value, What};
use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History as Other};
use todc_utils::specifications::Specification;

/// An operation with what it was told; nothing when that is unknown.
type Told = (Op, Option<Answer>);
type Keys = BTreeMap<String, Value>;

struct Sequential;

impl Specification for Sequential {
    type State = Keys;
    type Operation = Told;

    fn init() -> Keys {
        Keys::new()
    }

    fn apply((op, told): &Told, keys: &Keys) -> (bool, Keys) {
        let mut after = keys.clone();
        let answer = execute(&mut after, op);
        (told.as_ref().is_none_or(|told| without_revisions(told) == answer), after)
    }
}

/// Executes an operation; revisions in the answer are 0.
pub(crate) fn execute(keys: &mut BTreeMap<String, Value>, op: &Op) -> Answer {
    match op {
        Op::Read { key, .. } => Answer::Read {
            value: keys.get(key).cloned(),
            revision: 0,
        },
        Op::Write { key, value } => {
            keys.insert(key.clone(), value.clone());
            Answer::Written { revision: 0 }
        }
        Op::Delete { key } => Answer::Deleted {
            existed: keys.remove(key).is_some(),
        },
        Op::Cas {
            key, expected, value, ..
        } => swap(keys, key, expected.clone(), value.clone()),
        Op::Append { key, onto, element, .. } => {
            let grown = Value::List([onto.as_slice(), &[*element]].concat());
            let expected = if onto.is_empty() {
                None
            } else {
                Some(Value::List(onto.clone()))
            };
            swap(keys, key, expected, grown)
        }
        Op::Txn {
            compare,
            then,
            otherwise,
        } => {
            let succeeded = compare
                .iter()
                .all(|compare| keys.get(&compare.key) == compare.expected.as_ref());
            let branch = if succeeded { then } else { otherwise };
            let steps = branch.iter().map(|step| match step {
                Step::Get { key } => StepAnswer::Got(keys.get(key).map(|value| (value.clone(), 0))),
                Step::Put { key, value } => {
                    keys.insert(key.clone(), value.clone());
                    StepAnswer::Put
                }
                Step::Delete { key } => StepAnswer::Deleted(keys.remove(key).is_some()),
            });
            let steps = steps.collect();
            Answer::Txn {
                succeeded,
                revision: 0,
                steps,
            }
        }
    }
}

fn swap(keys: &mut Keys, key: &str, expected: Option<Value>, value: Value) -> Answer {
    let done = keys.get(key) == expected.as_ref();
    if done {
        keys.insert(key.to_owned(), value);
    }
    Answer::Swapped { done, revision: 0 }
}

fn without_revisions(answer: &Answer) -> Answer {
    let mut answer = answer.clone();
    match &mut answer {
        Answer::Read { revision, .. } | Answer::Written { revision } | Answer::Swapped { revision, .. } => *revision = 0,
        Answer::Txn { revision, steps, .. } => {
            *revision = 0;
            for step in steps {
                if let StepAnswer::Got(Some((_, revision))) = step {
                    *revision = 0;
                }
            }
        }
        Answer::Deleted { .. } => {}
    }
    answer
}

/// Whether it says that a history is linearizable.
pub(crate) fn is_linearizable(history: &History) -> bool {
    let operations = history.operations().expect("the history makes sense");
    let taking_part = |operation: &&Operation| !operation.has_failed() && !operation.op.is_stale_read();
    let operations: Vec<_> = operations.iter().filter(taking_part).collect();
    if operations.is_empty() {
        return true;
    }
    // It wants an answer to everything. What nobody was told is answered after all else, by which time it harms nobody.
    let mut actions = Vec::new();
    let mut late = Vec::new();
    for event in &history.events {
        for (index, operation) in operations.iter().enumerate() {
            let told = (operation.op.clone(), operation.answer().cloned());
            if operation.called == event.at {
                if told.1.is_none() {
                    late.push((index, Action::Response(told.clone())));
                }
                actions.push((index, Action::Call(told)));
            } else if matches!(event.what, What::Ok { .. }) && operation.returned == Some(event.at) {
                actions.push((index, Action::Response(told)));
            }
        }
    }
    actions.extend(late);
    WGLChecker::<Sequential>::is_linearizable(Other::from_actions(actions))
}
