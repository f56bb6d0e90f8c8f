//! A key that all clients add to.

use std::collections::HashMap;

use super::{Kind, Window, Wrong, binds};
use crate::workload::{Event, Found, Op, Outcome, Told};

pub(super) fn check(events: &[&Event], forgiven: Option<Window>, wrong: &mut Vec<Wrong>) {
    let mut told: HashMap<i64, &Event> = HashMap::new();
    for event in events {
        let value = match (&event.op, &event.outcome) {
            (_, Outcome::Done(Told::Counter(value))) => *value,
            // A counter nobody added to yet.
            (Op::Get, Outcome::Done(Told::Read(Found::Nothing))) => 0,
            (_, Outcome::Done(_) | Outcome::Refused) => {
                wrong.push(judged(event, "a counter's value".to_owned()));
                continue;
            }
            _ => continue,
        };
        let adds = event.op == Op::Incr;
        let least = adds as i64 + sure(events, event, forgiven);
        let most = adds as i64 + possible(events, event);
        if !(least..=most).contains(&value) {
            wrong.push(judged(event, format!("{least} to {most}")));
        }
        // What a crash may forget may be counted again.
        let safe = forgiven.is_none_or(|window| !(window.from..=window.crash).contains(&event.returned));
        if adds
            && safe
            && let Some(first) = told.insert(value, event)
        {
            wrong.push(judged(
                event,
                format!("a value that the addition from {:.3?} was not told", first.invoked),
            ));
        }
    }
}

fn judged(event: &Event, expected: String) -> Wrong {
    Wrong {
        kind: Kind::Count,
        event: event.clone(),
        expected,
    }
}

/// Other additions that certainly count when this request begins.
fn sure(events: &[&Event], event: &Event, forgiven: Option<Window>) -> i64 {
    let counts = |other: &&&Event| {
        let done = matches!(other.outcome, Outcome::Done(_));
        other.op == Op::Incr && done && !std::ptr::eq(**other, event) && binds(other.returned, event.invoked, forgiven)
    };
    events.iter().filter(counts).count() as i64
}

/// Other additions that may count when this request ends.
fn possible(events: &[&Event], event: &Event) -> i64 {
    let counts = |other: &&&Event| {
        let may = matches!(other.outcome, Outcome::Done(_) | Outcome::Unknown(_));
        other.op == Op::Incr && may && !std::ptr::eq(**other, event) && other.invoked <= event.returned
    };
    events.iter().filter(counts).count() as i64
}
