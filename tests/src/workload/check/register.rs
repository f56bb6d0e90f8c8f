//! A key with one writer.

use std::time::Duration;

use super::{Kind, Window, Wrong, binds};
use crate::workload::{Condition, Event, Found, Op, Outcome, Told};

/// How exactly times to live are kept: what the clocks of client and node may differ by.
const CLOCKS: Duration = Duration::from_millis(100);

/// A write as the judge sees it.
struct Write<'a> {
    event: &'a Event,
    write: u32,
    /// None when the write removes.
    value: Option<Value>,
    fate: Fate,
}

#[derive(Clone, Copy)]
struct Value {
    ttl: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Acknowledged,
    Unknown,
    NotExecuted,
}

/// The writes of a key, in their order.
struct Writes<'a> {
    writes: Vec<Write<'a>>,
    forgiven: Option<Window>,
}

/// What a request may have met: nothing ever written, or the state after a write.
type State<'w, 'a> = Option<&'w Write<'a>>;

pub(super) fn check(events: &[&Event], forgiven: Option<Window>, wrong: &mut Vec<Wrong>) {
    let mut writes: Vec<_> = events.iter().filter_map(|event| Write::of(event)).collect();
    writes.sort_by_key(|write| write.write);
    let writes = Writes { writes, forgiven };
    for event in events {
        if let Some((kind, expected)) = writes.refute(event) {
            wrong.push(Wrong {
                kind,
                event: (*event).clone(),
                expected,
            });
        }
    }
}

impl<'a> Write<'a> {
    fn of(event: &'a Event) -> Option<Self> {
        let (write, value) = match event.op {
            Op::Put { write, ttl, .. } => (write, Some(Value { ttl })),
            Op::Delete { write } => (write, None),
            Op::Get | Op::Incr => return None,
        };
        let fate = match event.outcome {
            Outcome::Done(_) => Fate::Acknowledged,
            Outcome::Unknown(_) => Fate::Unknown,
            Outcome::Refused | Outcome::NotExecuted(_) => Fate::NotExecuted,
        };
        Some(Self {
            event,
            write,
            value,
            fate,
        })
    }

    /// Whether who asks in this span may find its value.
    fn may_show(&self, event: &Event) -> bool {
        match self.value {
            None => false,
            Some(Value { ttl: None }) => true,
            Some(Value { ttl: Some(ttl) }) => event.invoked <= self.event.returned + ttl + CLOCKS,
        }
    }

    /// Whether who asks in this span may find nothing, because it removed it or its time is over.
    fn may_be_gone(&self, event: &Event) -> bool {
        match self.value {
            None => true,
            Some(Value { ttl: None }) => false,
            Some(Value { ttl: Some(ttl) }) => event.returned + CLOCKS >= self.event.invoked + ttl,
        }
    }
}

impl<'a> Writes<'a> {
    /// The states that a request may meet. For a write: before its own effect.
    fn states(&self, event: &Event) -> Vec<State<'_, 'a>> {
        let own = Write::of(event).map(|write| write.write);
        let before_own = |write: &&Write<'_>| own.is_none_or(|own| write.write < own);
        let earlier: Vec<_> = self.writes.iter().filter(before_own).collect();
        let last = earlier
            .iter()
            .rposition(|write| write.fate == Fate::Acknowledged && binds(write.event.returned, event.invoked, self.forgiven));
        let mut states = vec![last.map(|last| earlier[last])];
        let later = &earlier[last.map_or(0, |last| last + 1)..];
        let possible = later
            .iter()
            .filter(|write| write.fate != Fate::NotExecuted && write.event.invoked <= event.returned);
        states.extend(possible.map(|write| Some(*write)));
        states
    }

    /// Why what a request was told is wrong.
    fn refute(&self, event: &Event) -> Option<(Kind, String)> {
        let (Outcome::Done(_) | Outcome::Refused) = event.outcome else {
            return None;
        };
        let states = self.states(event);
        let nothing = states.iter().any(|state| state.is_none_or(|write| write.may_be_gone(event)));
        let shows = |number: u32| {
            let is = |state: &State<'_, '_>| state.is_some_and(|write| write.write == number && write.may_show(event));
            states.iter().any(is)
        };
        let something = states.iter().any(|state| state.is_some_and(|write| write.may_show(event)));
        // Present, but with another value than that of this write.
        let other = |number: u32| {
            let is = |state: &State<'_, '_>| state.is_some_and(|write| write.write != number && write.may_show(event));
            states.iter().any(is)
        };
        let right = match (&event.op, &event.outcome) {
            (Op::Get, Outcome::Done(Told::Read(Found::Nothing))) => nothing,
            (Op::Get, Outcome::Done(Told::Read(Found::Write(number)))) => shows(*number),
            (Op::Put { condition, .. }, Outcome::Done(Told::Stored { created })) => match condition {
                Condition::None if *created => nothing || expired_itself(event),
                Condition::None => something,
                Condition::Absent => nothing && *created,
                Condition::Holds(number) => shows(*number) && !created,
            },
            (Op::Put { condition, .. }, Outcome::Refused) => match condition {
                Condition::None => false,
                Condition::Absent => something,
                Condition::Holds(number) => nothing || other(*number),
            },
            (Op::Delete { .. }, Outcome::Done(Told::Deleted { existed })) => {
                if *existed {
                    something
                } else {
                    nothing
                }
            }
            _ => false,
        };
        (!right).then(|| (self.kind(event, &states), expected(&states)))
    }

    /// The name of what is wrong.
    fn kind(&self, event: &Event, states: &[State<'_, '_>]) -> Kind {
        let Outcome::Done(Told::Read(found)) = &event.outcome else {
            return Kind::Answer;
        };
        let number = match found {
            Found::Nothing => return Kind::Lost,
            Found::Foreign(_) => return Kind::NeverWritten,
            Found::Write(number) => *number,
        };
        let Some(write) = self
            .writes
            .iter()
            .find(|write| write.write == number && write.value.is_some())
        else {
            return Kind::NeverWritten;
        };
        if write.event.invoked > event.returned {
            return Kind::NeverWritten;
        }
        if write.fate == Fate::NotExecuted {
            return Kind::NotExecuted;
        }
        if !write.may_show(event) {
            return Kind::Expired;
        }
        // The first state is the last acknowledged one.
        let removed = states[0].is_some_and(|last| last.value.is_none());
        if removed { Kind::Resurrected } else { Kind::Old }
    }
}

/// Whether a write's own value may have expired before the answer: a master may have had to repeat it, and it came to a key
/// that held nothing any more.
fn expired_itself(event: &Event) -> bool {
    matches!(event.op, Op::Put { ttl: Some(ttl), .. } if event.returned + CLOCKS >= event.invoked + ttl)
}

fn expected(states: &[State<'_, '_>]) -> String {
    let name = |state: &State<'_, '_>| match state {
        None => "nothing (never written)".to_owned(),
        Some(write) => {
            let what = match write.value {
                None => "the delete".to_owned(),
                Some(Value { ttl: None }) => "the value".to_owned(),
                Some(Value { ttl: Some(ttl) }) => format!("the value (for {ttl:?})"),
            };
            let fate = match write.fate {
                Fate::Acknowledged => "acknowledged",
                Fate::Unknown => "of unknown outcome",
                Fate::NotExecuted => "not executed",
            };
            let (invoked, returned) = (write.event.invoked, write.event.returned);
            format!("{what} of write {} ({fate}, {invoked:.3?}–{returned:.3?})", write.write)
        }
    };
    states.iter().map(name).collect::<Vec<_>>().join(" or ")
}
