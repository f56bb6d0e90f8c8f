//! The judge: what no answer may say, whatever went wrong meanwhile.
//!
//! A read sees the last write of its key that was acknowledged before the read began, or a later one that was sent before the
//! read ended and was acknowledged or whose outcome nobody knows. Never an older one, never one that was refused, never nothing
//! when there is something. A time to live ends a value when it is over, and not before. The same holds for what answers to
//! writes say of the key (new or replaced, condition held or not). The cache promises no more of concurrent requests.

mod counter;
mod register;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{Event, History, Key};

/// A crash that may forget: writes acknowledged in it count as unknown to whoever asks after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// What was acknowledged before is safe.
    pub from: Duration,
    /// The crash.
    pub crash: Duration,
}

/// How an answer is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An acknowledged entry is not there.
    Lost,
    /// An older value than the acknowledged one.
    Old,
    /// A value from before an acknowledged delete.
    Resurrected,
    /// A value whose time to live was over.
    Expired,
    /// The value of a write that was certainly not executed.
    NotExecuted,
    /// A value that no client ever wrote there, or not yet.
    NeverWritten,
    /// A write's answer that no state of the key explains.
    Answer,
    /// A counter that counted too little or too much, or the same twice.
    Count,
}

/// An answer that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// How.
    pub kind: Kind,
    /// The request.
    pub event: Event,
    /// What would have been right.
    pub expected: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event {
            key,
            op,
            door,
            invoked,
            returned,
            outcome,
            source,
        } = &self.event;
        write!(
            f,
            "{:?}: {key} {op:?} through door {door} from {invoked:.3?} to {returned:.3?} was told {outcome:?} by {source:?}, expected {}",
            self.kind, self.expected
        )
    }
}

/// Everything that is wrong in a record, in the order in which it was told.
#[must_use]
pub fn check(history: &History, forgiven: Option<Window>) -> Vec<Wrong> {
    let mut by_key: BTreeMap<Key, Vec<&Event>> = BTreeMap::new();
    for event in &history.events {
        by_key.entry(event.key).or_default().push(event);
    }
    let mut wrong = Vec::new();
    for (key, events) in by_key {
        if matches!(key, Key::Counter(_)) {
            counter::check(&events, forgiven, &mut wrong);
        } else {
            register::check(&events, forgiven, &mut wrong);
        }
    }
    wrong.sort_by_key(|wrong| wrong.event.returned);
    wrong
}

/// Whether something acknowledged then must be known to whoever asks from then on.
fn binds(acknowledged: Duration, asked: Duration, forgiven: Option<Window>) -> bool {
    let forgotten = forgiven.is_some_and(|window| (window.from..=window.crash).contains(&acknowledged) && asked >= window.crash);
    acknowledged <= asked && !forgotten
}

#[cfg(test)]
mod tests;
