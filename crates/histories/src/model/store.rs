//! Several keys, and transactions over them.

use std::collections::HashSet;
use std::sync::Arc;

use super::Model;
use super::cell::{self, Cell};
use crate::history::{Answer, Compare, Op, Step, StepAnswer, Value};

/// What a key holds when it is a value that nobody asks for.
const OTHER: &str = "\0another value";

/// A store of these keys only. Keys that no transaction touches together are better judged each by a store of its own:
/// a history is linearizable if each object's part is (Herlihy and Wing 1990, §3.1, locality).
#[derive(Debug, Clone)]
pub struct Store {
    /// Sorted.
    keys: Vec<String>,
    /// All values that anybody asks for; none when all are told apart.
    asked: Option<HashSet<Value>>,
}

impl Store {
    /// Of these keys.
    #[must_use]
    pub fn new<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Self {
        let mut keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        keys.sort_unstable();
        keys.dedup();
        Self { keys, asked: None }
    }

    /// Tells only these values apart, which must be all that operations read, expect or compare with: what nobody asks for might
    /// as well be the same, and fewer states are fewer situations.
    #[must_use]
    pub fn telling(self, asked: HashSet<Value>) -> Self {
        Self {
            asked: Some(asked),
            ..self
        }
    }

    /// Its keys with what they hold in a state, for people.
    #[must_use]
    pub fn show(&self, state: &[Cell]) -> String {
        let pairs = self.keys.iter().zip(state);
        let shown: Vec<_> = pairs
            .map(|(key, held)| format!("{key} = {}", crate::history::Shown(held.as_deref())))
            .collect();
        shown.join(", ")
    }

    fn place(&self, key: &str) -> Option<usize> {
        self.keys.binary_search_by(|held| held.as_str().cmp(key)).ok()
    }

    /// As far as values are told apart.
    fn told_apart(&self, cell: Cell) -> Cell {
        match (&cell, &self.asked) {
            (Some(value), Some(asked)) if !asked.contains(value) => Some(Arc::new(Value::Foreign(OTHER.to_owned()))),
            _ => cell,
        }
    }

    fn holds(&self, state: &[Cell], compare: &Compare) -> bool {
        self.place(&compare.key)
            .is_some_and(|place| cell::holds(&state[place], compare.expected.as_ref()))
    }

    fn txn(&self, state: &[Cell], branches: (&[Compare], &[Step], &[Step]), answer: Option<&Answer>) -> Option<Vec<Cell>> {
        let (compare, then, otherwise) = branches;
        let holds = compare.iter().all(|compare| self.holds(state, compare));
        let branch = if holds { then } else { otherwise };
        let told = match answer {
            None => None,
            Some(Answer::Txn { succeeded, steps, .. }) if *succeeded == holds && steps.len() == branch.len() => Some(steps),
            Some(_) => return None,
        };
        let mut state = state.to_vec();
        for (index, step) in branch.iter().enumerate() {
            let held = &mut state[self.place(step.key())?];
            if told.is_some_and(|told| !fits(held, step, &told[index])) {
                return None;
            }
            match step {
                Step::Get { .. } => {}
                Step::Put { value, .. } => *held = self.told_apart(Some(Arc::new(value.clone()))),
                Step::Delete { .. } => *held = None,
            }
        }
        Some(state)
    }
}

fn fits(held: &Cell, step: &Step, told: &StepAnswer) -> bool {
    match (step, told) {
        (Step::Get { .. }, StepAnswer::Got(found)) => cell::holds(held, found.as_ref().map(|(value, _)| value)),
        (Step::Put { .. }, StepAnswer::Put) => true,
        (Step::Delete { .. }, StepAnswer::Deleted(existed)) => held.is_some() == *existed,
        _ => false,
    }
}

impl Model for Store {
    type Op = Op;
    type Answer = Answer;
    type State = Vec<Cell>;

    fn initial(&self) -> Vec<Cell> {
        vec![None; self.keys.len()]
    }

    fn step(&self, state: &Vec<Cell>, op: &Op, answer: Option<&Answer>) -> Option<Vec<Cell>> {
        match op {
            Op::Txn {
                compare,
                then,
                otherwise,
            } => self.txn(state, (compare, then, otherwise), answer),
            Op::Read { key, .. } | Op::Write { key, .. } | Op::Delete { key } | Op::Cas { key, .. } | Op::Append { key, .. } => {
                let place = self.place(key)?;
                let after = cell::step(&state[place], op, answer)?;
                let mut state = state.clone();
                state[place] = self.told_apart(after);
                Some(state)
            }
        }
    }

    fn only_reads(&self, op: &Op, answer: &Answer) -> bool {
        match answer {
            Answer::Read { .. } | Answer::Deleted { existed: false } | Answer::Swapped { done: false, .. } => true,
            Answer::Written { .. } | Answer::Deleted { existed: true } | Answer::Swapped { done: true, .. } => false,
            Answer::Txn { .. } => op.taken(answer).iter().all(|(step, _)| matches!(step, Step::Get { .. })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Value;

    #[test]
    fn transaction_takes_the_branch_of_its_compares_and_sees_its_own_steps() {
        let store = Store::new(["a", "b"]);
        let compare = |expected: Option<u64>| Compare {
            key: "a".to_owned(),
            expected: expected.map(Value::Int),
            revision: 0,
        };
        let txn = |expected| Op::Txn {
            compare: vec![compare(expected)],
            then: vec![
                Step::Put {
                    key: "b".to_owned(),
                    value: Value::Int(2),
                },
                Step::Get { key: "b".to_owned() },
                Step::Delete { key: "a".to_owned() },
            ],
            otherwise: vec![Step::Get { key: "a".to_owned() }],
        };
        let then = Answer::Txn {
            succeeded: true,
            revision: 5,
            steps: vec![
                StepAnswer::Put,
                StepAnswer::Got(Some((Value::Int(2), 5))),
                StepAnswer::Deleted(true),
            ],
        };
        let otherwise = Answer::Txn {
            succeeded: false,
            revision: 5,
            steps: vec![StepAnswer::Got(Some((Value::Int(1), 4)))],
        };
        let one = store.step(&store.initial(), &Op::write("a", 1), None).unwrap();
        let after = store.step(&one, &txn(Some(1)), Some(&then)).unwrap();
        assert_eq!(store.show(&after), "a = nothing, b = 2");
        assert_eq!(store.step(&one, &txn(Some(1)), Some(&otherwise)), None);
        assert_eq!(store.step(&one, &txn(None), Some(&otherwise)), Some(one.clone()));
        assert_eq!(store.step(&one, &txn(None), Some(&then)), None);
        assert!(store.only_reads(&txn(None), &otherwise));
        assert!(!store.only_reads(&txn(None), &then));
    }
}
