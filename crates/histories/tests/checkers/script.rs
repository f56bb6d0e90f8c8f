//! Histories written by hand.

use histories::History;
use histories::history::{Answer, Op, Recorder, Value};
use histories::judge::Judgement;
use histories::linearizability::Limits;

/// A history under construction: what is called first is first.
#[derive(Default)]
pub(crate) struct Script {
    recorder: Recorder,
}

impl Script {
    /// A process asks.
    pub(crate) fn call(&self, process: u32, op: Op) -> &Self {
        self.recorder.invoke(process, &op, "");
        self
    }

    /// It is told.
    pub(crate) fn told(&self, process: u32, answer: Answer) -> &Self {
        self.recorder.ok(process, answer);
        self
    }

    /// It is refused.
    pub(crate) fn refused(&self, process: u32) -> &Self {
        self.recorder.fail(process, "503");
        self
    }

    /// It hears nothing.
    pub(crate) fn silent(&self, process: u32) -> &Self {
        self.recorder.info(process, "no answer");
        self
    }

    /// Asks and is told, with nothing in between.
    pub(crate) fn step(&self, process: u32, op: Op, answer: Answer) -> &Self {
        self.call(process, op).told(process, answer)
    }

    /// The history.
    pub(crate) fn history(&self) -> History {
        let mut history = History::new(0, "by hand");
        history.events = self.recorder.events();
        history
    }

    /// What is said of it.
    pub(crate) fn judged(&self) -> Judgement {
        histories::judge(&self.history(), Limits::default()).expect("the script makes sense")
    }

    /// What is wrong with its order, which must be something.
    pub(crate) fn contradiction(&self) -> String {
        let judgement = self.judged();
        let violation = judgement.report.violations.first();
        violation.expect("no order explains it").to_string()
    }
}

/// `read x` told this value.
pub(crate) fn read(value: impl Into<Option<u64>>) -> Answer {
    found(value.into().map(Value::Int))
}

/// `read x` told this list.
pub(crate) fn list(items: &[u64]) -> Answer {
    found(Some(Value::List(items.to_vec())))
}

fn found(value: Option<Value>) -> Answer {
    Answer::Read { value, revision: 0 }
}

/// A write was acknowledged.
pub(crate) const WRITTEN: Answer = Answer::Written { revision: 0 };
/// A compare-and-swap was.
pub(crate) const SWAPPED: Answer = Answer::Swapped { done: true, revision: 0 };
/// Its condition did not hold.
pub(crate) const REFUSED: Answer = Answer::Swapped {
    done: false,
    revision: 0,
};

/// Compare-and-swap of `x`.
pub(crate) fn cas(expected: impl Into<Option<u64>>, value: u64) -> Op {
    Op::Cas {
        key: "x".to_owned(),
        expected: expected.into().map(Value::Int),
        value: Value::Int(value),
        revision: 0,
    }
}

/// Append to `x`.
pub(crate) fn append(onto: &[u64], element: u64) -> Op {
    Op::Append {
        key: "x".to_owned(),
        onto: onto.to_vec(),
        element,
        revision: 0,
    }
}
