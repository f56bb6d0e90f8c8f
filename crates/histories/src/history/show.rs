//! Requests and answers in the words of counterexamples.

use std::fmt;

use super::{Answer, Compare, Op, Step, StepAnswer, Value};

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { key, stale: false } => write!(f, "read {key}"),
            Self::Read { key, stale: true } => write!(f, "read {key} (stale)"),
            Self::Write { key, value } => write!(f, "write {key} = {value}"),
            Self::Delete { key } => write!(f, "delete {key}"),
            Self::Cas {
                key, expected, value, ..
            } => write!(f, "cas {key}: {} to {value}", Shown(expected.as_ref())),
            Self::Append { key, onto, element, .. } => {
                write!(f, "append {element} to {key} = {}", Value::List(onto.clone()))
            }
            Self::Txn {
                compare,
                then,
                otherwise,
            } => {
                let compares: Vec<_> = compare.iter().map(Compare::to_string).collect();
                let list = |steps: &[Step]| steps.iter().map(Step::to_string).collect::<Vec<_>>().join(", ");
                write!(
                    f,
                    "txn if {{{}}} then {{{}}} else {{{}}}",
                    compares.join(", "),
                    list(then),
                    list(otherwise)
                )
            }
        }
    }
}

impl fmt::Display for Compare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.key, Shown(self.expected.as_ref()))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get { key } => write!(f, "get {key}"),
            Self::Put { key, value } => write!(f, "put {key} = {value}"),
            Self::Delete { key } => write!(f, "delete {key}"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { value, revision } => write!(f, "{}{}", Shown(value.as_ref()), At(*revision)),
            Self::Written { revision } => write!(f, "written{}", At(*revision)),
            Self::Deleted { existed: true } => f.write_str("removed"),
            Self::Deleted { existed: false } => f.write_str("nothing to remove"),
            Self::Swapped { done: true, revision } => write!(f, "swapped{}", At(*revision)),
            Self::Swapped { done: false, .. } => f.write_str("refused: something else was there"),
            Self::Txn {
                succeeded,
                revision,
                steps,
            } => {
                let steps: Vec<_> = steps.iter().map(StepAnswer::to_string).collect();
                let branch = if *succeeded { "then" } else { "else" };
                write!(f, "{branch} {{{}}}{}", steps.join(", "), At(*revision))
            }
        }
    }
}

impl fmt::Display for StepAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Got(None) => f.write_str("nothing"),
            Self::Got(Some((value, revision))) => write!(f, "{value}{}", At(*revision)),
            Self::Put => f.write_str("put"),
            Self::Deleted(true) => f.write_str("removed"),
            Self::Deleted(false) => f.write_str("nothing to remove"),
        }
    }
}

/// A value that may not be there.
pub(crate) struct Shown<'a>(pub(crate) Option<&'a Value>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("nothing"),
        }
    }
}

struct At(u64);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            revision => write!(f, " @{revision}"),
        }
    }
}
