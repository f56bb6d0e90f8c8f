//! Whether every watcher saw every change once and in order, over all its interruptions.
//!
//! What must have been seen is what anybody knows to have happened: writes that were acknowledged with a revision, values that
//! were read with theirs, and what other watchers saw.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::history::{Answer, Event, Op, Operation, Seen, Step, StepAnswer, What};
use crate::provenance::shown;
use crate::revisions::written;

/// What one watcher saw.
#[derive(Debug, Default)]
struct Watcher<'a> {
    prefix: &'a str,
    /// Revisions, each with the keys that changed at it.
    seen: BTreeMap<u64, BTreeSet<&'a str>>,
    /// Revisions that it must know all about: from, to.
    covered: Vec<(u64, u64)>,
    /// Where the part under way begins; none before the first stream and after a compaction.
    from: Option<u64>,
    /// First revision that the stream under way may show.
    stream: u64,
    last: u64,
    removals: HashMap<&'a str, usize>,
}

/// What is wrong, in words.
#[must_use]
pub fn check(operations: &[Operation], events: &[Event]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut watchers: BTreeMap<u32, Watcher<'_>> = BTreeMap::new();
    for event in events {
        if let What::Watch { seen } = &event.what {
            let problem = watchers.entry(event.process).or_default().take(seen);
            wrong.extend(problem.map(|problem| format!("watcher p{} at {} ms: {problem}", event.process, event.us / 1000)));
        }
    }
    for watcher in watchers.values_mut() {
        // The last revision seen may have come in part.
        watcher.cover(watcher.last.saturating_sub(1));
    }
    let mut known = known(operations);
    for watcher in watchers.values() {
        let seen = watcher
            .seen
            .iter()
            .flat_map(|(revision, keys)| keys.iter().map(|key| (*revision, *key)));
        known.extend(seen);
    }
    for (process, watcher) in &watchers {
        for (revision, key) in &known {
            let covers = |(from, to): &(u64, u64)| (*from..=*to).contains(revision);
            let must = key.starts_with(watcher.prefix) && watcher.covered.iter().any(covers);
            if must && !watcher.seen.get(revision).is_some_and(|keys| keys.contains(key)) {
                wrong.push(format!(
                    "watcher p{process} missed the change of {key} at revision {revision}"
                ));
            }
        }
        wrong.extend(
            watcher
                .removed_too_often(operations)
                .map(|problem| format!("watcher p{process} {problem}")),
        );
    }
    wrong
}

impl<'a> Watcher<'a> {
    fn take(&mut self, seen: &'a Seen) -> Option<String> {
        match seen {
            Seen::Opened { prefix, from } => {
                self.prefix = prefix;
                self.stream = *from;
                match self.from {
                    // From now on: what it must know begins with what it sees.
                    None => self.from = (*from > 0).then_some(*from),
                    // It may have left before there was anything to see.
                    Some(begin) if *from > begin.max(self.last + 1) => {
                        return Some(format!("it resumed from {from} and had seen {} only", self.last));
                    }
                    Some(_) => {}
                }
                None
            }
            Seen::Change { key, value, revision } => {
                let (last, revision) = (self.last, *revision);
                self.from.get_or_insert(revision);
                self.last = revision.max(last);
                if value.is_none() {
                    *self.removals.entry(key).or_default() += 1;
                }
                let is_new = self.seen.entry(revision).or_default().insert(key);
                if revision < self.stream {
                    Some(format!("revision {revision} of {key} came on a stream from {}", self.stream))
                } else if !is_new {
                    Some(format!("revision {revision} of {key} came twice"))
                } else if revision < last {
                    Some(format!("revision {revision} of {key} came after {last}"))
                } else if !key.starts_with(self.prefix) {
                    Some(format!("{key} is not under {}", self.prefix))
                } else {
                    None
                }
            }
            Seen::Broken { .. } => None,
            Seen::Compacted => {
                self.cover(self.last);
                self.from = None;
                None
            }
            Seen::Closed { revision } => {
                self.cover(*revision);
                self.from = None;
                None
            }
        }
    }

    /// It knows everything from where its part began to here.
    fn cover(&mut self, to: u64) {
        if let Some(from) = self.from {
            self.covered.push((from, to));
        }
    }

    /// A key was removed at most as often as somebody may have done it.
    fn removed_too_often(&self, operations: &[Operation]) -> impl Iterator<Item = String> {
        let removals = self.removals.iter().filter_map(|(key, seen)| {
            let may = operations
                .iter()
                .filter(|operation| !operation.has_failed() && removes(&operation.op, key))
                .count();
            (*seen > may).then(|| format!("saw {key} removed {seen} times; {may} operations may have done that"))
        });
        removals.collect::<Vec<_>>().into_iter()
    }
}

fn removes(op: &Op, key: &str) -> bool {
    match op {
        Op::Delete { key: removed } => removed == key,
        Op::Txn { then, otherwise, .. } => {
            let mut steps = then.iter().chain(otherwise);
            steps.any(|step| matches!(step, Step::Delete { key: removed } if removed == key))
        }
        _ => false,
    }
}

/// Changes that were acknowledged or read.
fn known(operations: &[Operation]) -> BTreeSet<(u64, &str)> {
    let mut known = BTreeSet::new();
    for operation in operations {
        let Some(answer) = operation.answer() else { continue };
        known.extend(shown(operation, answer).into_iter().map(|(key, _, revision)| (revision, key)));
        let revision = answer.write_revision(&operation.op);
        if revision != 0 {
            known.extend(written(operation, answer).into_iter().map(|(key, _)| (revision, key)));
            known.extend(removed(operation, answer).map(|key| (revision, key)));
        }
    }
    known
}

fn removed<'a>(operation: &'a Operation, answer: &'a Answer) -> impl Iterator<Item = &'a str> {
    let taken = operation.op.taken(answer).into_iter();
    taken.filter_map(|(step, told)| match (step, told) {
        (Step::Delete { key }, StepAnswer::Deleted(true)) => Some(key.as_str()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::History;
    use crate::history::{Recorder, Value};

    /// A record with writes of `a` at revisions 5, 6 and 8, and what a watcher saw.
    fn judged(seen: &[Seen]) -> Vec<String> {
        let recorder = Recorder::default();
        for revision in [5, 6, 8] {
            let process = recorder.process();
            recorder.invoke(process, &Op::write("a", revision), "");
            recorder.ok(process, Answer::Written { revision });
        }
        let watcher = recorder.process();
        for seen in seen {
            recorder.seen(watcher, seen.clone());
        }
        let mut history = History::new(0, "");
        history.events = recorder.events();
        check(&history.operations().unwrap(), &history.events)
    }

    fn opened(from: u64) -> Seen {
        Seen::Opened {
            prefix: String::new(),
            from,
        }
    }

    fn change(revision: u64) -> Seen {
        Seen::Change {
            key: "a".to_owned(),
            value: Some(Value::Int(revision)),
            revision,
        }
    }

    fn broken() -> Seen {
        Seen::Broken { reason: String::new() }
    }

    const CLOSED: Seen = Seen::Closed { revision: 8 };

    #[test]
    fn whole_and_resumed_watches_are_accepted() {
        assert_eq!(judged(&[opened(1), change(5), change(6), change(8), CLOSED]), [""; 0]);
        assert_eq!(
            judged(&[opened(6), change(6), broken(), opened(7), change(8), CLOSED]),
            [""; 0]
        );
        assert_eq!(judged(&[opened(0), change(6), change(8)]), [""; 0]);
        assert_eq!(
            judged(&[opened(5), broken(), opened(5), change(5), change(6), change(8), CLOSED]),
            [""; 0]
        );
        assert_eq!(
            judged(&[opened(1), change(5), Seen::Compacted, opened(8), change(8), CLOSED]),
            [""; 0]
        );
    }

    #[test]
    fn gap_is_found_also_at_a_resumption_and_at_the_end() {
        let missed = |seen: &[Seen]| assert!(judged(seen)[0].contains("missed"), "{:?}", judged(seen));
        missed(&[opened(1), change(5), change(8), CLOSED]);
        missed(&[opened(1), change(5), broken(), opened(6), change(8), CLOSED]);
        missed(&[opened(1), change(5), change(6), CLOSED]);
        assert!(judged(&[opened(1), change(5), broken(), opened(7), change(8), CLOSED])[0].contains("resumed"));
        assert!(judged(&[opened(5), broken(), opened(6), change(6), change(8), CLOSED])[0].contains("resumed"));
    }

    #[test]
    fn change_that_comes_twice_late_or_out_of_nowhere_is_found() {
        let wrong = |seen: &[Seen], word: &str| assert!(judged(seen)[0].contains(word), "{:?}", judged(seen));
        wrong(
            &[
                opened(1),
                change(5),
                change(6),
                broken(),
                opened(6),
                change(6),
                change(8),
                CLOSED,
            ],
            "twice",
        );
        wrong(&[opened(1), change(6), change(5), change(8), CLOSED], "after");
        wrong(&[opened(6), change(5), change(6), change(8), CLOSED], "stream from");
        let removal = Seen::Change {
            key: "a".to_owned(),
            value: None,
            revision: 7,
        };
        wrong(
            &[opened(1), change(5), change(6), removal, change(8), CLOSED],
            "removed 1 times",
        );
    }
}
