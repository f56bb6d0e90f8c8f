//! Whether clients were told the truth.
//!
//! Revisions name the order in which the store claims to have done everything. So nothing has to be searched for: it is checked
//! that each operation has a place in this very order, with the answer that it gives there, and that the order keeps real
//! time: what ended before something else began comes before it. That is linearizability, for a known order (Herlihy and
//! Wing, *Linearizability*, 1990, §3).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::record::{Ask, Record, Told};
use super::truth::Truth;
use super::watchers::END;
use crate::types::{Event, KeyValue, OpResult, Revision, TxnResponse};

/// Where the clients' keys are; others vanish with their leases.
const CLIENTS: &str = "kv/";

/// The place of an operation.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// It made this revision.
    Made(Revision),
    /// It saw the store as of this revision.
    Saw(Revision),
}

/// What is wrong, in words.
pub(super) fn judge(truth: &Truth, records: &[Record]) -> Vec<String> {
    let mut judge = Judge {
        truth,
        wrong: Vec::new(),
        makers: BTreeMap::new(),
        marks: marks(truth),
    };
    let mut records: Vec<&Record> = records.iter().collect();
    records.sort_by_key(|record| record.called);
    let places: Vec<Option<Place>> = records.iter().map(|record| judge.place(record)).collect();
    judge.all_changes_were_asked_for();
    judge.real_time_is_kept(&records, &places);
    judge.stale_reads_go_forward(&records);
    judge.wrong
}

struct Judge<'a> {
    truth: &'a Truth,
    wrong: Vec<String>,
    /// Who made a revision, as an index of its record's call.
    makers: BTreeMap<Revision, u64>,
    /// Revisions at which each value was written.
    marks: BTreeMap<String, BTreeSet<Revision>>,
}

fn marks(truth: &Truth) -> BTreeMap<String, BTreeSet<Revision>> {
    let mut marks: BTreeMap<String, BTreeSet<Revision>> = BTreeMap::new();
    for (revision, events, _) in truth.all() {
        for event in events {
            if let Event::Put(pair) = event {
                marks.entry(mark(pair)).or_default().insert(revision);
            }
        }
    }
    marks
}

/// The value that names a write: the last of a list.
fn mark(pair: &KeyValue) -> String {
    let text = String::from_utf8_lossy(&pair.value);
    text.rsplit(',').next().unwrap_or_default().to_owned()
}

impl Judge<'_> {
    /// Finds the place of what was done for certain, and of what was seen to be done.
    fn place(&mut self, record: &Record) -> Option<Place> {
        match (&record.ask, &record.told) {
            (Ask::Txn { txn, .. }, Told::Done(answer)) => self.place_answered(record, txn, answer),
            (Ask::Txn { txn, mark: Some(mark) }, Told::Unknown(_)) => {
                let revision = self.only_revision(record, mark)?;
                let (_, _, changes) = self.truth.execute(txn, revision - 1);
                if !self.changed(revision, &changes) {
                    self.complain(record, &format!("is not what happened at revision {revision}"));
                }
                self.claim(record, revision);
                Some(Place::Made(revision))
            }
            (Ask::Txn { mark: Some(mark), .. }, Told::Refused(_)) => {
                if let Some(revision) = self.only_revision(record, mark) {
                    self.complain(record, &format!("happened all the same, at revision {revision}"));
                }
                None
            }
            (Ask::List { prefix }, Told::Listed(listing)) => {
                if self.truth.list(prefix, listing.revision) != listing.items {
                    self.complain(record, "is not what was there");
                }
                Some(Place::Saw(listing.revision))
            }
            // A read of one key does not say of when it is: see below.
            _ => None,
        }
    }

    fn place_answered(&mut self, record: &Record, txn: &crate::types::Txn, answer: &TxnResponse) -> Option<Place> {
        let revision = answer.revision;
        if revision > self.truth.last() {
            self.complain(
                record,
                &format!("was acknowledged, and lost: there is no revision {revision}"),
            );
            return None;
        }
        let (succeeded, results, changes) = self.truth.execute(txn, revision - 1);
        let made = !changes.is_empty() && self.changed(revision, &changes) && !self.makers.contains_key(&revision);
        if made && succeeded == answer.succeeded && alike(&results, &answer.results) {
            self.claim(record, revision);
            if let Ask::Txn { mark: Some(mark), .. } = &record.ask
                && succeeded
            {
                self.only_revision(record, mark);
            }
            return Some(Place::Made(revision));
        }
        let (succeeded, results, changes) = self.truth.execute(txn, revision);
        if changes.is_empty() && succeeded == answer.succeeded && alike(&results, &answer.results) {
            return Some(Place::Saw(revision));
        }
        self.complain(
            record,
            &format!(
                "is not what happened at revision {revision}: {:?}",
                self.truth.events(revision)
            ),
        );
        None
    }

    /// The revision at which a value was written; there must be no second one.
    fn only_revision(&mut self, record: &Record, mark: &str) -> Option<Revision> {
        let revisions = self.marks.get(mark)?.clone();
        if revisions.len() > 1 {
            self.complain(record, &format!("was done more than once, at revisions {revisions:?}"));
        }
        revisions.first().copied()
    }

    fn changed(&self, revision: Revision, changes: &[(String, Option<bytes::Bytes>)]) -> bool {
        let events = self.truth.events(revision);
        let same = |(event, (key, value)): (&Event, &(String, Option<bytes::Bytes>))| {
            let held = match event {
                Event::Put(pair) => Some(&pair.value),
                Event::Delete { .. } => None,
            };
            event.key() == key && held == value.as_ref()
        };
        events.len() == changes.len() && events.iter().zip(changes).all(same)
    }

    fn claim(&mut self, record: &Record, revision: Revision) {
        if self.makers.insert(revision, record.called).is_some() {
            self.complain(record, &format!("claims revision {revision}, which another made"));
        }
    }

    fn all_changes_were_asked_for(&mut self) {
        for (revision, events, _) in self.truth.all() {
            let of_clients = events
                .iter()
                .any(|event| event.key().starts_with(CLIENTS) && event.key() != END);
            if of_clients && !self.makers.contains_key(&revision) {
                self.wrong.push(format!("nobody asked for revision {revision}: {events:?}"));
            }
        }
    }

    /// Every operation comes after all that had ended when it began. Reads of one key are given the earliest place that
    /// they can have, which leaves most room to all others.
    fn real_time_is_kept(&mut self, records: &[&Record], places: &[Option<Place>]) {
        let mut ended: BinaryHeap<Reverse<(u64, Revision)>> = BinaryHeap::new();
        let mut floor = 0;
        for (record, place) in records.iter().zip(places) {
            while let Some(Reverse((returned, revision))) = ended.peek()
                && *returned < record.called
            {
                floor = floor.max(*revision);
                ended.pop();
            }
            let revision = match (place, &record.ask, &record.told) {
                (Some(Place::Made(revision)), ..) => {
                    if *revision <= floor {
                        self.complain(
                            record,
                            &format!("made revision {revision}, and began after revision {floor} was known"),
                        );
                    }
                    *revision
                }
                (Some(Place::Saw(revision)), ..) => {
                    if *revision < floor {
                        self.complain(
                            record,
                            &format!("saw revision {revision}, and began after revision {floor} was known"),
                        );
                    }
                    *revision
                }
                (None, Ask::Get { key, stale: false }, Told::Got(held)) => {
                    let Some(revision) = self.truth.first_with(key, held.as_ref(), floor.max(1)) else {
                        self.complain(
                            record,
                            &format!("was so at no time after revision {floor}, which was known before"),
                        );
                        continue;
                    };
                    revision
                }
                _ => continue,
            };
            ended.push(Reverse((record.returned, revision)));
        }
    }

    /// A process never forgets what it has shown, and shows nothing before it is asked for.
    fn stale_reads_go_forward(&mut self, records: &[&Record]) {
        let mut ended: BTreeMap<&(String, u32), Vec<(u64, Revision)>> = BTreeMap::new();
        for record in records {
            let (Ask::Get { key, stale: true }, Told::Got(held)) = (&record.ask, &record.told) else {
                continue;
            };
            let ended = ended.entry(&record.via).or_default();
            let before = ended.iter().filter(|(returned, _)| *returned < record.called);
            let floor = before.map(|(_, revision)| *revision).max().unwrap_or(1);
            match self.truth.first_with(key, held.as_ref(), floor) {
                Some(revision) => ended.push((record.returned, revision)),
                None => self.complain(record, "went back in time"),
            }
            let maker = held.as_ref().and_then(|pair| self.makers.get(&pair.mod_revision));
            if maker.is_some_and(|called| *called > record.returned) {
                self.complain(record, "saw what was written later");
            }
        }
    }

    fn complain(&mut self, record: &Record, problem: &str) {
        let Record {
            client,
            called,
            returned,
            ask,
            told,
            via,
        } = record;
        let text = format!(
            "client {client} at {}.{} ({called}..{returned}): {ask:?} → {told:?} {problem}",
            via.0, via.1
        );
        self.wrong.push(text);
    }
}

/// Whether two lists of results say the same, revisions of listings aside.
fn alike(left: &[OpResult], right: &[OpResult]) -> bool {
    let same = |(left, right): (&OpResult, &OpResult)| match (left, right) {
        (OpResult::Range(left), OpResult::Range(right)) => left.items == right.items && left.more == right.more,
        (left, right) => left == right,
    };
    left.len() == right.len() && left.iter().zip(right).all(same)
}
