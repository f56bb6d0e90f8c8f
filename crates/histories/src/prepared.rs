//! Operations as the search gets them: with what follows for each from what others saw.
//!
//! A value that one operation alone writes, and that somebody saw, was written before that was told. So an operation of unknown
//! outcome whose value was seen has happened, and before that moment; the search need not carry it to the end. What such
//! a one expected was there before it, and so on. One whose values nobody saw can be left out when it can matter to nobody:
//! to matter, somebody must have been told that *something* was there.

use std::collections::{HashMap, HashSet};

use crate::history::{Answer, Op, Operation, Step, StepAnswer, Value};
use crate::sight::Sight;
use crate::wgl::Call;

/// Two searches: one of what is certain, and, should that not add up, one of all.
pub(crate) struct Prepared<'a> {
    /// Operations that happened.
    pub(crate) certain: Vec<Call<'a, Op, Answer>>,
    /// Operations that nobody saw happen, but that may have had to. To be appended to the others.
    pub(crate) unseen: Vec<Call<'a, Op, Answer>>,
    /// Values that anybody asks for.
    pub(crate) asked: HashSet<Value>,
}

/// What is known of operations on keys that are judged together.
struct Known<'a> {
    operations: &'a [&'a Operation],
    /// Who writes a value: how many, and the last of them.
    writers: HashMap<(&'a str, Value), (usize, usize)>,
    /// When each operation had been seen to have happened.
    seen: Vec<Option<u64>>,
    absence: bool,
    is_vague: bool,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(operations: &'a [&'a Operation]) -> Self {
        let mut known = Known::new(operations);
        known.look();
        let ambiguous = known.writers.values().any(|(writers, _)| *writers > 1);
        let conditional = |op: &Op| matches!(op, Op::Txn { compare, .. } if !compare.is_empty());
        let keeps_deletes = known.is_vague || known.absence || ambiguous;
        // A transaction may remove a key because of a value that nobody else saw.
        let hidden =
            |operation: &&&Operation| operation.answer().is_none() && operation.op.deletes() && conditional(&operation.op);
        let keeps_all = known.is_vague || ambiguous || (keeps_deletes && operations.iter().any(|operation| hidden(&operation)));
        let (mut certain, mut unseen) = (Vec::new(), Vec::new());
        for (operation, seen) in operations.iter().zip(&known.seen) {
            let call = call(operation, *seen);
            if call.returned.is_some() {
                certain.push(call);
            } else if keeps_all && changes(&operation.op) || keeps_deletes && operation.op.deletes() {
                unseen.push(call);
            }
        }
        let asked = asked(operations);
        link(&mut unseen, certain.len(), &asked);
        Self { certain, unseen, asked }
    }
}

/// Values that an operation reads, expects or compares with.
fn asked(operations: &[&Operation]) -> HashSet<Value> {
    let mut asked = HashSet::new();
    for operation in operations {
        match &operation.op {
            Op::Cas { expected, .. } => asked.extend(expected.clone()),
            Op::Append { onto, .. } => asked.extend([Value::List(onto.clone())]),
            Op::Txn { compare, .. } => asked.extend(compare.iter().filter_map(|compare| compare.expected.clone())),
            Op::Read { .. } | Op::Write { .. } | Op::Delete { .. } => {}
        }
        match operation.answer() {
            Some(Answer::Read { value, .. }) => asked.extend(value.clone()),
            Some(answer @ Answer::Txn { .. }) => {
                asked.extend(operation.op.taken(answer).into_iter().filter_map(|(_, told)| match told {
                    StepAnswer::Got(Some((value, _))) => Some(value.clone()),
                    _ => None,
                }));
            }
            _ => {}
        }
    }
    asked
}

/// Tells of each call which earlier one does the same.
fn link(calls: &mut [Call<'_, Op, Answer>], first: usize, asked: &HashSet<Value>) {
    let mut last: HashMap<String, usize> = HashMap::new();
    let name = |value: &Value| asked.contains(value).then(|| value.to_string());
    for (index, call) in calls.iter_mut().enumerate() {
        let effect = match call.op {
            Op::Write { key, value } => format!("{key} {:?}", name(value)),
            Op::Delete { key } => format!("{key} deleted"),
            Op::Cas {
                key, expected, value, ..
            } => format!("{key} {expected:?} {:?}", name(value)),
            Op::Txn {
                compare,
                then,
                otherwise,
            } => {
                let step = |step: &Step| match step {
                    Step::Get { .. } => String::new(),
                    Step::Put { key, value } => format!("{key} {:?}", name(value)),
                    Step::Delete { key } => format!("{key} deleted"),
                };
                let steps = |steps: &[Step]| steps.iter().map(step).collect::<Vec<_>>();
                let compare: Vec<_> = compare.iter().map(|compare| (&compare.key, &compare.expected)).collect();
                format!("{compare:?} {:?} {:?}", steps(then), steps(otherwise))
            }
            Op::Append { .. } | Op::Read { .. } => continue,
        };
        call.like = last.insert(effect, first + index);
    }
}

impl<'a> Known<'a> {
    fn new(operations: &'a [&'a Operation]) -> Self {
        let mut writers: HashMap<(&str, Value), (usize, usize)> = HashMap::new();
        for (index, operation) in operations.iter().enumerate() {
            for value in operation.op.produces() {
                let (count, writer) = writers.entry(value).or_default();
                (*count, *writer) = (*count + 1, index);
            }
        }
        Self {
            operations,
            writers,
            seen: vec![None; operations.len()],
            absence: false,
            is_vague: false,
        }
    }

    /// Follows what every answer shows, and what follows from that for those that were not answered.
    fn look(&mut self) {
        let mut sights = Vec::new();
        for operation in self.operations {
            if let (Some(answer), Some(told)) = (operation.answer(), operation.returned) {
                sights.push((Sight::of(&operation.op, answer), told));
            }
        }
        while let Some((sight, told)) = sights.pop() {
            self.absence |= sight.absence;
            self.is_vague |= sight.is_vague;
            for (key, value) in sight.values {
                let held = (key, value);
                let Some((1, writer)) = self.writers.get(&held) else {
                    continue;
                };
                let seen = &mut self.seen[*writer];
                if seen.is_some_and(|before| before <= told) {
                    continue;
                }
                *seen = Some(told);
                let writer: &'a Operation = self.operations[*writer];
                if writer.answer().is_none() {
                    sights.push((Sight::behind(&writer.op, held.0, &held.1), told));
                }
            }
        }
    }
}

/// Times are doubled: there is room for «just before».
fn call<'a>(operation: &'a Operation, seen: Option<u64>) -> Call<'a, Op, Answer> {
    let ended = operation.answer().and(operation.returned).map(|returned| returned * 2);
    let seen = seen.map(|told| told * 2 - 1);
    let returned = match (ended, seen) {
        (Some(ended), Some(seen)) => Some(ended.min(seen)),
        (one, other) => one.or(other),
    };
    Call {
        called: operation.called * 2,
        returned,
        op: &operation.op,
        answer: operation.answer(),
        like: None,
    }
}

fn changes(op: &Op) -> bool {
    op.deletes() || !op.produces().is_empty()
}
