//! Where all clients of a run write down what happens to them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::{Answer, Event, Op, Seen, What};

/// One order of everything: an event is recorded before the request is sent, or after the answer has come, so that what
/// ended before another began does so in the record too.
#[derive(Debug)]
pub struct Recorder {
    began: Instant,
    processes: AtomicU32,
    events: Mutex<Vec<Event>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            processes: AtomicU32::new(1),
            events: Mutex::default(),
        }
    }
}

impl Recorder {
    /// A number that no process had before.
    pub fn process(&self) -> u32 {
        self.processes.fetch_add(1, Ordering::Relaxed)
    }

    /// An operation is about to be sent.
    pub fn invoke(&self, process: u32, op: &Op, via: &str) {
        let (op, via) = (op.clone(), via.to_owned());
        self.record(process, What::Invoke { op, via });
    }

    /// It was executed.
    pub fn ok(&self, process: u32, answer: Answer) {
        self.record(process, What::Ok { answer });
    }

    /// It was certainly not executed.
    pub fn fail(&self, process: u32, reason: impl Into<String>) {
        self.record(process, What::Fail { reason: reason.into() });
    }

    /// Nobody knows. The process must not be used again.
    pub fn info(&self, process: u32, reason: impl Into<String>) {
        self.record(process, What::Info { reason: reason.into() });
    }

    /// A watcher saw something.
    pub fn seen(&self, process: u32, seen: Seen) {
        self.record(process, What::Watch { seen });
    }

    /// Something for people.
    pub fn note(&self, text: impl Into<String>) {
        self.record(0, What::Note { text: text.into() });
    }

    /// Everything so far.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().clone()
    }

    fn record(&self, process: u32, what: What) {
        let mut events = self.events.lock();
        let us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let at = events.len() as u64 + 1;
        events.push(Event { at, us, process, what });
    }
}
