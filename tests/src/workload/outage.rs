//! How long something did not work.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Event, Key, Op, Outcome};

/// The longest times in which no request for some probe key succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outage {
    /// Of reads.
    pub reads: Duration,
    /// Of writes.
    pub writes: Duration,
}

/// The longest outages between two moments. A key that never works is out for all of it.
#[must_use]
pub fn outage(events: &[Event], from: Duration, to: Duration) -> Outage {
    let mut successes: BTreeMap<(Key, bool), Vec<Duration>> = BTreeMap::new();
    for event in events.iter().filter(|event| matches!(event.key, Key::Probe(_))) {
        let times = successes.entry((event.key, event.op == Op::Get)).or_default();
        if matches!(event.outcome, Outcome::Done(_)) && (from..to).contains(&event.returned) {
            times.push(event.returned);
        }
    }
    let mut longest = Outage::default();
    for ((_, read), mut times) in successes {
        times.extend([from, to]);
        times.sort_unstable();
        let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
        let held = if read { &mut longest.reads } else { &mut longest.writes };
        *held = gap.max(*held);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::super::{Found, Reason, Told};
    use super::*;

    #[test]
    fn longest_gap_of_any_probe_counts_reads_and_writes_apart() {
        let ms = Duration::from_millis;
        let read = |key, at, works| Event {
            key,
            op: Op::Get,
            door: 0,
            invoked: ms(at - 1),
            returned: ms(at),
            outcome: if works {
                Outcome::Done(Told::Read(Found::Nothing))
            } else {
                Outcome::Unknown(Reason::TimedOut)
            },
            source: String::new(),
        };
        let write = |key, at, works| Event {
            op: Op::Delete { write: 1 },
            ..read(key, at, works)
        };
        let (a, b) = (Key::Probe(0), Key::Probe(1));
        let events = [
            read(a, 100, true),
            read(a, 200, false),
            read(a, 300, true),
            read(a, 900, true),
            read(b, 500, true),
            write(a, 250, true),
            write(Key::Counter(0), 600, true),
        ];
        let expected = Outage {
            reads: ms(600),
            writes: ms(750),
        };
        assert_eq!(outage(&events, ms(0), ms(1000)), expected);
    }
}
