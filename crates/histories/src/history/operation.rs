//! Events paired into operations.

use std::collections::HashMap;
use std::fmt;

use super::{Answer, Event, Malformed, Op, What};

/// A request with its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Who asked.
    pub process: u32,
    /// Whom.
    pub via: String,
    /// What.
    pub op: Op,
    /// Logical time of the request.
    pub called: u64,
    /// Logical time of the end; none for what never ended.
    pub returned: Option<u64>,
    /// Microseconds from the run's beginning to the request and to the end, for people.
    pub us: (u64, u64),
    /// How it ended.
    pub ending: Ending,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Executed.
    Ok(Answer),
    /// Not executed.
    Fail(String),
    /// Nobody knows.
    Info(String),
}

impl Operation {
    /// What it was told, if it was executed for certain.
    #[must_use]
    pub const fn answer(&self) -> Option<&Answer> {
        match &self.ending {
            Ending::Ok(answer) => Some(answer),
            Ending::Fail(_) | Ending::Info(_) => None,
        }
    }

    /// Whether it was certainly not executed.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        matches!(self.ending, Ending::Fail(_))
    }

    /// Whether nobody knows.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.ending, Ending::Info(_))
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.op, self.ending)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok(answer) => write!(f, "{answer}"),
            Self::Fail(reason) => write!(f, "not executed ({reason})"),
            Self::Info(reason) => write!(f, "unknown ({reason})"),
        }
    }
}

pub(super) fn pair(events: &[Event]) -> Result<Vec<Operation>, Malformed> {
    let mut operations: Vec<Operation> = Vec::new();
    let mut open: HashMap<u32, usize> = HashMap::new();
    for event in events {
        let wrong = |problem: &str| Malformed::Event {
            at: event.at,
            problem: format!("process {} {problem}", event.process),
        };
        let ending = match &event.what {
            What::Invoke { op, via } => {
                if let Some(before) = open.insert(event.process, operations.len()) {
                    return Err(wrong(&format!("has not ended: {}", operations[before].op)));
                }
                operations.push(Operation {
                    process: event.process,
                    via: via.clone(),
                    op: op.clone(),
                    called: event.at,
                    returned: None,
                    us: (event.us, event.us),
                    ending: Ending::Info("the record ends".to_owned()),
                });
                continue;
            }
            What::Ok { answer } => Ending::Ok(answer.clone()),
            What::Fail { reason } => Ending::Fail(reason.clone()),
            What::Info { reason } => Ending::Info(reason.clone()),
            What::Watch { .. } | What::Note { .. } => continue,
        };
        // A process of which nobody knows what it still does cannot do something else.
        let index = if matches!(ending, Ending::Info(_)) {
            open.get(&event.process).copied()
        } else {
            open.remove(&event.process)
        };
        let operation = &mut operations[index.ok_or_else(|| wrong("had begun nothing"))?];
        if let Ending::Ok(answer) = &ending
            && !fits(&operation.op, answer)
        {
            return Err(wrong(&format!("asked «{}» and was told «{answer}»", operation.op)));
        }
        operation.returned = Some(event.at);
        operation.us.1 = event.us;
        operation.ending = ending;
    }
    Ok(operations)
}

/// Whether an answer is one to the request.
fn fits(op: &Op, answer: &Answer) -> bool {
    match (op, answer) {
        (Op::Read { .. }, Answer::Read { .. })
        | (Op::Write { .. }, Answer::Written { .. })
        | (Op::Delete { .. }, Answer::Deleted { .. })
        | (Op::Cas { .. } | Op::Append { .. }, Answer::Swapped { .. }) => true,
        (Op::Txn { then, otherwise, .. }, Answer::Txn { succeeded, steps, .. }) => {
            let branch = if *succeeded { then } else { otherwise };
            branch.len() == steps.len()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Recorder;
    use super::*;

    #[test]
    fn process_with_an_operation_under_way_cannot_begin_another() {
        let recorder = Recorder::default();
        let process = recorder.process();
        recorder.invoke(process, &Op::read("k"), "");
        recorder.info(process, "no answer");
        recorder.invoke(process, &Op::read("k"), "");
        let refused = pair(&recorder.events()).unwrap_err();
        assert!(refused.to_string().contains("has not ended"), "{refused}");
    }

    #[test]
    fn answer_of_another_kind_is_refused() {
        let recorder = Recorder::default();
        let process = recorder.process();
        recorder.invoke(process, &Op::read("k"), "");
        recorder.ok(process, Answer::Written { revision: 1 });
        assert!(pair(&recorder.events()).is_err());
    }
}
