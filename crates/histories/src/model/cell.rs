//! One key.

use std::sync::Arc;

use crate::history::{Answer, Op, Value};

/// What a key holds; nothing when it is absent. Shared, since every state of a search has one.
pub(super) type Cell = Option<Arc<Value>>;

/// The key after an operation on it, if that gives this answer; transactions are not for one key.
pub(super) fn step(held: &Cell, op: &Op, answer: Option<&Answer>) -> Option<Cell> {
    match op {
        Op::Read { .. } | Op::Write { .. } | Op::Delete { .. } => register(held, op, answer),
        Op::Cas { expected, value, .. } => swap(held, holds(held, expected.as_ref()), value, answer),
        Op::Append { onto, element, .. } => {
            let fits = match held.as_deref() {
                None => onto.is_empty(),
                Some(Value::List(list)) => list == onto,
                Some(_) => false,
            };
            swap(held, fits, &crate::history::appended(onto, *element), answer)
        }
        Op::Txn { .. } => None,
    }
}

/// Whether a key holds what is expected.
pub(super) fn holds(held: &Cell, expected: Option<&Value>) -> bool {
    held.as_deref() == expected
}

fn register(held: &Cell, op: &Op, answer: Option<&Answer>) -> Option<Cell> {
    match (op, answer) {
        (Op::Read { .. }, None) => Some(held.clone()),
        (Op::Read { .. }, Some(Answer::Read { value, .. })) => holds(held, value.as_ref()).then(|| held.clone()),
        (Op::Write { value, .. }, None | Some(Answer::Written { .. })) => Some(Some(Arc::new(value.clone()))),
        (Op::Delete { .. }, None) => Some(None),
        (Op::Delete { .. }, Some(Answer::Deleted { existed })) => (held.is_some() == *existed).then_some(None),
        _ => None,
    }
}

fn swap(held: &Cell, fits: bool, value: &Value, answer: Option<&Answer>) -> Option<Cell> {
    let allowed = match answer {
        None => true,
        Some(Answer::Swapped { done, .. }) => *done == fits,
        Some(_) => false,
    };
    let after = || if fits { Some(Arc::new(value.clone())) } else { held.clone() };
    allowed.then(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(value: u64) -> Cell {
        Some(Arc::new(Value::Int(value)))
    }

    fn list(items: &[u64]) -> Cell {
        Some(Arc::new(Value::List(items.to_vec())))
    }

    #[test]
    fn register_reads_what_was_written_last() {
        let read = |value: Option<u64>| Answer::Read {
            value: value.map(Value::Int),
            revision: 0,
        };
        let op = Op::read("k");
        assert_eq!(step(&int(1), &op, Some(&read(Some(1)))), Some(int(1)));
        assert_eq!(step(&int(1), &op, Some(&read(Some(2)))), None);
        assert_eq!(step(&int(1), &op, Some(&read(None))), None);
        assert_eq!(step(&None, &op, Some(&read(None))), Some(None));
        assert_eq!(step(&int(1), &Op::write("k", 2), None), Some(int(2)));
    }

    #[test]
    fn delete_says_whether_there_was_something() {
        let op = Op::Delete { key: "k".to_owned() };
        let told = |existed| Answer::Deleted { existed };
        assert_eq!(step(&int(1), &op, Some(&told(true))), Some(None));
        assert_eq!(step(&int(1), &op, Some(&told(false))), None);
        assert_eq!(step(&None, &op, Some(&told(false))), Some(None));
        assert_eq!(step(&int(1), &op, None), Some(None));
    }

    #[test]
    fn swap_happens_exactly_when_the_key_holds_what_is_expected() {
        let op = |expected: Option<u64>| Op::Cas {
            key: "k".to_owned(),
            expected: expected.map(Value::Int),
            value: Value::Int(9),
            revision: 0,
        };
        let told = |done| Answer::Swapped { done, revision: 0 };
        assert_eq!(step(&int(1), &op(Some(1)), Some(&told(true))), Some(int(9)));
        assert_eq!(step(&int(1), &op(Some(1)), Some(&told(false))), None);
        assert_eq!(step(&int(2), &op(Some(1)), Some(&told(false))), Some(int(2)));
        assert_eq!(step(&int(2), &op(Some(1)), Some(&told(true))), None);
        assert_eq!(step(&None, &op(None), Some(&told(true))), Some(int(9)));
        // Of unknown outcome: it swaps where it can.
        assert_eq!(step(&int(1), &op(Some(1)), None), Some(int(9)));
        assert_eq!(step(&int(2), &op(Some(1)), None), Some(int(2)));
    }

    #[test]
    fn append_grows_the_list_it_expects() {
        let op = |onto: &[u64]| Op::Append {
            key: "k".to_owned(),
            onto: onto.to_vec(),
            element: 9,
            revision: 0,
        };
        let told = |done| Answer::Swapped { done, revision: 0 };
        assert_eq!(step(&None, &op(&[]), Some(&told(true))), Some(list(&[9])));
        assert_eq!(step(&list(&[1]), &op(&[1]), Some(&told(true))), Some(list(&[1, 9])));
        assert_eq!(step(&list(&[1]), &op(&[2]), Some(&told(true))), None);
        assert_eq!(step(&list(&[1]), &op(&[]), Some(&told(false))), Some(list(&[1])));
    }
}
