//! What an answer shows of the store as it was before the operation.

use crate::history::{Answer, Compare, Op, StepAnswer, Value};

/// Keys and what they held.
#[derive(Debug, Default)]
pub(crate) struct Sight<'a> {
    /// Keys that held these values.
    pub(crate) values: Vec<(&'a str, Value)>,
    /// Some key held nothing.
    pub(crate) absence: bool,
    /// Some key held something, or something other than was expected.
    pub(crate) is_vague: bool,
}

impl<'a> Sight<'a> {
    /// Of an operation that was answered.
    pub(crate) fn of(op: &'a Op, answer: &'a Answer) -> Self {
        let mut sight = Self::default();
        match (op, answer) {
            (Op::Read { key, .. }, Answer::Read { value, .. }) => sight.held(key, value.clone()),
            (Op::Delete { .. }, Answer::Deleted { existed }) => sight.existed(*existed),
            (Op::Cas { .. } | Op::Append { .. }, Answer::Swapped { done: true, .. }) => sight.condition(op),
            (Op::Cas { .. } | Op::Append { .. }, Answer::Swapped { done: false, .. }) => sight.is_vague = true,
            (Op::Txn { compare, .. }, Answer::Txn { succeeded, .. }) => {
                if *succeeded {
                    sight.compares(compare);
                } else {
                    sight.is_vague = true;
                }
                for (step, told) in op.taken(answer) {
                    match told {
                        StepAnswer::Got(found) => sight.held(step.key(), found.as_ref().map(|(value, _)| value.clone())),
                        StepAnswer::Deleted(existed) => sight.existed(*existed),
                        StepAnswer::Put => {}
                    }
                }
            }
            _ => {}
        }
        sight
    }

    /// Of an operation that was not answered, but made this key hold this value for certain.
    pub(crate) fn behind(op: &'a Op, key: &str, value: &Value) -> Self {
        let mut sight = Self::default();
        match op {
            Op::Cas { .. } | Op::Append { .. } => sight.condition(op),
            Op::Txn { compare, otherwise, .. } => {
                let puts = |step: &crate::history::Step| match step {
                    crate::history::Step::Put { key: put, value: what } => put == key && what == value,
                    _ => false,
                };
                if otherwise.iter().any(puts) {
                    sight.is_vague = true;
                } else {
                    sight.compares(compare);
                }
            }
            Op::Read { .. } | Op::Write { .. } | Op::Delete { .. } => {}
        }
        sight
    }

    fn condition(&mut self, op: &'a Op) {
        match op {
            Op::Cas { key, expected, .. } => self.held(key, expected.clone()),
            Op::Append { key, onto, .. } => self.held(key, (!onto.is_empty()).then(|| Value::List(onto.clone()))),
            _ => {}
        }
    }

    fn compares(&mut self, compares: &'a [Compare]) {
        for compare in compares {
            self.held(&compare.key, compare.expected.clone());
        }
    }

    fn held(&mut self, key: &'a str, value: Option<Value>) {
        match value {
            Some(value) => self.values.push((key, value)),
            None => self.absence = true,
        }
    }

    fn existed(&mut self, existed: bool) {
        self.is_vague |= existed;
        self.absence |= !existed;
    }
}
