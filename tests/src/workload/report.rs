//! What a fault did to those who used the system.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use super::{Condition, Event, History, Kind, Op, Outage, Outcome, Reason, Wrong, outage};

/// Head of the table.
const HEAD: &str = "| fault | requests | errors | wrong values | lost entries | longest outage: reads | writes |\n\
                    |---|---|---|---|---|---|---|\n";

/// One fault's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    fault: String,
    seed: u64,
    requests: usize,
    /// By reason; those of increments and conditional writes apart, which may end unknown where others are simply repeated.
    errors: BTreeMap<(Reason, bool), usize>,
    wrong: usize,
    lost: usize,
    outage: Outage,
}

impl Report {
    /// Of a record that was judged. Outages count from `span.0` to `span.1`.
    #[must_use]
    pub fn new(fault: &str, seed: u64, history: &History, wrongs: &[Wrong], span: (Duration, Duration)) -> Self {
        let mut errors = BTreeMap::new();
        for event in &history.events {
            if let Outcome::NotExecuted(reason) | Outcome::Unknown(reason) = event.outcome {
                *errors.entry((reason, is_delicate(event.op))).or_default() += 1;
            }
        }
        let lost = |wrong: &&Wrong| matches!(wrong.kind, Kind::Lost | Kind::Old);
        let lost: BTreeSet<_> = wrongs.iter().filter(lost).map(|wrong| wrong.event.key).collect();
        Self {
            fault: fault.to_owned(),
            seed,
            requests: history.events.len(),
            errors,
            wrong: wrongs.iter().filter(|wrong| wrong.kind != Kind::Lost).count(),
            lost: lost.len(),
            outage: outage(&history.events, span.0, span.1),
        }
    }

    /// The longest outages.
    #[must_use]
    pub const fn outage(&self) -> Outage {
        self.outage
    }

    /// Requests that failed.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.errors.values().sum()
    }

    /// Prints it, and adds it to the table at `ELASTICORE_FAULT_REPORT` when that is set.
    ///
    /// # Panics
    /// When the table cannot be written.
    pub fn publish(&self) {
        println!("{self} (ELASTICORE_SEED={})", self.seed);
        let Some(path) = std::env::var_os("ELASTICORE_FAULT_REPORT") else {
            return;
        };
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let mut file = file.expect("ELASTICORE_FAULT_REPORT can be written");
        // Tests run in processes of their own.
        file.lock().expect("the table can be locked");
        let head = if file.metadata().is_ok_and(|found| found.len() == 0) {
            HEAD
        } else {
            ""
        };
        write!(file, "{head}{}", self.row()).expect("ELASTICORE_FAULT_REPORT can be written");
    }

    fn row(&self) -> String {
        format!(
            "| {} | {} | {} | {} | {} | {:.1} s | {:.1} s |\n",
            self.fault,
            self.requests,
            self.failures(),
            self.wrong,
            self.lost,
            self.outage.reads.as_secs_f64(),
            self.outage.writes.as_secs_f64()
        )
    }

    fn failures(&self) -> String {
        if self.errors.is_empty() {
            return "0".to_owned();
        }
        let kind = |((reason, delicate), count): (&(Reason, bool), &usize)| {
            let what = if *delicate { " (counter or condition)" } else { "" };
            format!("{count} × {reason}{what}")
        };
        let kinds: Vec<_> = self.errors.iter().map(kind).collect();
        kinds.join(", ")
    }
}

const fn is_delicate(op: Op) -> bool {
    match op {
        Op::Incr => true,
        Op::Put { condition, .. } => !matches!(condition, Condition::None),
        Op::Get | Op::Delete { .. } => false,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} requests, errors {}, wrong values {}, lost entries {}, longest outage {:.1} s of reads and {:.1} s of writes",
            self.fault,
            self.requests,
            self.failures(),
            self.wrong,
            self.lost,
            self.outage.reads.as_secs_f64(),
            self.outage.writes.as_secs_f64()
        )
    }
}

/// All requests for the key of an event around it, for people who look for the cause.
#[must_use]
pub(super) fn around(history: &History, wrong: &Wrong) -> String {
    let mut events: Vec<&Event> = history.events.iter().filter(|event| event.key == wrong.event.key).collect();
    events.sort_by_key(|event| event.invoked);
    let place = events.iter().position(|event| **event == wrong.event).unwrap_or_default();
    let shown = &events[place.saturating_sub(12)..(place + 3).min(events.len())];
    let line = |event: &&Event| {
        format!(
            "    {:9.3?}–{:9.3?} door {} {:?} → {:?} {}",
            event.invoked, event.returned, event.door, event.op, event.outcome, event.source
        )
    };
    format!("{wrong}\n{}", shown.iter().map(line).collect::<Vec<_>>().join("\n"))
}

impl History {
    /// Requests whose outcome nobody told, the first few: each may be worth a look.
    #[must_use]
    pub fn failures(&self) -> String {
        let unknown = self
            .events
            .iter()
            .filter(|event| matches!(event.outcome, Outcome::Unknown(_)));
        let line = |event: &Event| {
            let Event { key, op, outcome, .. } = event;
            format!(
                "  {:.3?}–{:.3?} door {} {key} {op:?} → {outcome:?}",
                event.invoked, event.returned, event.door
            )
        };
        unknown.take(8).map(line).collect::<Vec<_>>().join("\n")
    }

    /// Answers that are wrong, each with what was asked around it; the first few.
    #[must_use]
    pub fn explain(&self, wrongs: &[Wrong]) -> String {
        let shown: Vec<_> = wrongs.iter().take(8).map(|wrong| around(self, wrong)).collect();
        format!("{} wrong answers:\n{}", wrongs.len(), shown.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Found, Key, Told, check};
    use super::*;

    #[test]
    fn report_counts_requests_errors_wrong_values_and_lost_entries() {
        let event = |write, at, outcome| Event {
            key: Key::Probe(0),
            op: Op::Put {
                write,
                ttl: None,
                condition: Condition::None,
            },
            door: 0,
            invoked: Duration::from_secs(at),
            returned: Duration::from_secs(at),
            outcome,
            source: String::new(),
        };
        let read = |at, found| Event {
            op: Op::Get,
            ..event(0, at, Outcome::Done(Told::Read(found)))
        };
        let stored = |created| Outcome::Done(Told::Stored { created });
        let events = vec![
            event(1, 1, stored(true)),
            event(2, 2, stored(false)),
            event(3, 3, Outcome::NotExecuted(Reason::Status(503))),
            read(5, Found::Write(1)),
            read(6, Found::Nothing),
            read(7, Found::Write(2)),
        ];
        let history = History { events };
        let wrongs = check(&history, None);
        let span = (Duration::from_secs(0), Duration::from_secs(8));
        let report = Report::new("a fault", 1, &history, &wrongs, span);
        assert_eq!(report.row(), "| a fault | 6 | 1 × 503 | 1 | 1 | 5.0 s | 6.0 s |\n");
        assert!(history.explain(&wrongs).starts_with("2 wrong answers:\nOld: probe-0 Get"));
    }
}
