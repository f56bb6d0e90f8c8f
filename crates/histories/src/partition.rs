//! Which operations must be judged together.

use std::collections::HashMap;

use crate::history::Operation;

/// Operations on keys that transactions touch together, directly or over others; in the order in which they began.
#[derive(Debug, Clone)]
pub(crate) struct Part<'a> {
    /// Its keys, sorted.
    pub(crate) keys: Vec<&'a str>,
    /// Its operations.
    pub(crate) operations: Vec<&'a Operation>,
}

/// Splits operations into as many parts as can be judged alone.
pub(crate) fn parts<'a>(operations: impl Iterator<Item = &'a Operation>) -> Vec<Part<'a>> {
    let operations: Vec<_> = operations.collect();
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut names = Vec::new();
    let mut parents: Vec<usize> = Vec::new();
    let mut firsts = Vec::new();
    for operation in &operations {
        let mut first = None;
        for key in operation.op.keys() {
            let number = *numbers.entry(key).or_insert_with(|| {
                names.push(key);
                parents.push(parents.len());
                parents.len() - 1
            });
            let first = *first.get_or_insert(number);
            let (one, other) = (root(&mut parents, first), root(&mut parents, number));
            parents[one] = other;
        }
        firsts.push(first);
    }
    let mut places: HashMap<usize, usize> = HashMap::new();
    let mut parts: Vec<Part<'a>> = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let root = root(&mut parents, number);
        let place = *places.entry(root).or_insert_with(|| {
            parts.push(Part {
                keys: Vec::new(),
                operations: Vec::new(),
            });
            parts.len() - 1
        });
        parts[place].keys.push(name);
    }
    for (operation, first) in operations.into_iter().zip(firsts) {
        // A transaction without keys says nothing.
        if let Some(first) = first {
            parts[places[&root(&mut parents, first)]].operations.push(operation);
        }
    }
    for part in &mut parts {
        part.keys.sort_unstable();
    }
    parts
}

/// The representative of a set, its path halved on the way.
fn root(parents: &mut [usize], mut of: usize) -> usize {
    while parents[of] != of {
        parents[of] = parents[parents[of]];
        of = parents[of];
    }
    of
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Op, Recorder, Step};
    use crate::{History, history::Answer};

    #[test]
    fn transactions_join_the_keys_they_touch() {
        let recorder = Recorder::default();
        let put = |key: &str| Step::Put {
            key: key.to_owned(),
            value: 1.into(),
        };
        let txn = |one: &str, other: &str| Op::Txn {
            compare: Vec::new(),
            then: vec![put(one)],
            otherwise: vec![put(other)],
        };
        for op in [
            Op::read("x"),
            txn("a", "b"),
            Op::read("c"),
            txn("c", "b"),
            Op::write("x", 1),
            Op::read("d"),
        ] {
            let process = recorder.process();
            recorder.invoke(process, &op, "");
            recorder.info(process, "");
        }
        let mut history = History::new(0, "");
        history.events = recorder.events();
        let operations = history.operations().unwrap();
        let mut found: Vec<_> = parts(operations.iter())
            .into_iter()
            .map(|part| (part.keys, part.operations.len()))
            .collect();
        found.sort();
        assert_eq!(found, [(vec!["a", "b", "c"], 3), (vec!["d"], 1), (vec!["x"], 2)]);
        let _ = Answer::Written { revision: 0 };
    }
}
