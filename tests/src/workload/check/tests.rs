//! Hand-made records: right ones pass, each known way to be wrong is found and named.

use std::time::Duration;

use super::{Kind, Window, check};
use crate::workload::{Condition, Event, Found, History, Key, Op, Outcome, Reason, Told};

const KEY: Key = Key::Own { client: 0, number: 0 };
const COUNTER: Key = Key::Counter(0);
const STORED: Outcome = Outcome::Done(Told::Stored { created: false });
const CREATED: Outcome = Outcome::Done(Told::Stored { created: true });
const DELETED: Outcome = Outcome::Done(Told::Deleted { existed: true });
const NOT_THERE: Outcome = Outcome::Done(Told::Deleted { existed: false });
const UNKNOWN: Outcome = Outcome::Unknown(Reason::Status(504));
const NOT_EXECUTED: Outcome = Outcome::NotExecuted(Reason::Status(503));
const NOTHING: Outcome = Outcome::Done(Told::Read(Found::Nothing));

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn event(key: Key, from: u64, to: u64, op: Op, outcome: Outcome) -> Event {
    Event {
        key,
        op,
        door: 0,
        invoked: ms(from),
        returned: ms(to),
        outcome,
        source: String::new(),
    }
}

fn put(write: u32, from: u64, to: u64, outcome: Outcome) -> Event {
    put_if(write, Condition::None, from, to, outcome)
}

fn put_if(write: u32, condition: Condition, from: u64, to: u64, outcome: Outcome) -> Event {
    let ttl = None;
    event(KEY, from, to, Op::Put { write, ttl, condition }, outcome)
}

fn put_for(write: u32, ttl: u64, from: u64, to: u64) -> Event {
    let (ttl, condition) = (Some(ms(ttl)), Condition::None);
    event(KEY, from, to, Op::Put { write, ttl, condition }, CREATED)
}

fn delete(write: u32, from: u64, to: u64, outcome: Outcome) -> Event {
    event(KEY, from, to, Op::Delete { write }, outcome)
}

fn get(from: u64, to: u64, outcome: Outcome) -> Event {
    event(KEY, from, to, Op::Get, outcome)
}

fn sees(write: u32) -> Outcome {
    Outcome::Done(Told::Read(Found::Write(write)))
}

fn add(from: u64, to: u64, outcome: Outcome) -> Event {
    event(COUNTER, from, to, Op::Incr, outcome)
}

fn count(value: i64) -> Outcome {
    Outcome::Done(Told::Counter(value))
}

fn wrongs(events: Vec<Event>, forgiven: Option<Window>) -> Vec<Kind> {
    check(&History { events }, forgiven)
        .into_iter()
        .map(|wrong| wrong.kind)
        .collect()
}

/// What is wrong with an answer after these events.
#[track_caller]
fn judge(before: &[Event], last: Event, expected: Option<Kind>) {
    let mut events = before.to_vec();
    events.push(last.clone());
    assert_eq!(wrongs(events, None), expected.into_iter().collect::<Vec<_>>(), "{last:?}");
}

#[test]
fn read_sees_the_last_acknowledged_write_or_one_under_way() {
    let before = [
        put(1, 0, 10, CREATED),
        put(2, 20, 30, STORED),
        put(3, 50, 90, UNKNOWN),
        put(4, 200, 210, STORED),
    ];
    judge(&before, get(40, 45, sees(2)), None);
    judge(&before, get(25, 28, sees(1)), None);
    judge(&before, get(25, 28, sees(2)), None);
    judge(&before, get(0, 5, NOTHING), None);
    for told in [sees(2), sees(3)] {
        judge(&before, get(100, 110, told.clone()), None);
        judge(&before, get(60, 70, told), None);
    }
    judge(&before, get(195, 205, sees(4)), None);
    judge(&before, get(220, 230, sees(4)), None);
}

#[test]
fn lost_acknowledged_write_is_found() {
    let before = [put(1, 0, 10, CREATED), put(2, 20, 30, STORED), put(3, 40, 50, UNKNOWN)];
    judge(&before, get(60, 61, NOTHING), Some(Kind::Lost));
    judge(&before, get(60, 61, sees(1)), Some(Kind::Old));
    // Also while the next write is under way.
    judge(&before, get(41, 42, NOTHING), Some(Kind::Lost));
}

#[test]
fn unknown_write_may_not_come_back_over_an_acknowledged_one() {
    let before = [put(1, 0, 10, CREATED), put(2, 20, 30, UNKNOWN), put(3, 40, 50, STORED)];
    judge(&before, get(35, 36, sees(2)), None);
    judge(&before, get(60, 61, sees(2)), Some(Kind::Old));
}

#[test]
fn resurrected_delete_is_found() {
    let before = [put(1, 0, 10, CREATED), delete(2, 20, 30, DELETED)];
    judge(&before, get(25, 26, sees(1)), None);
    judge(&before, get(25, 26, NOTHING), None);
    judge(&before, get(40, 41, NOTHING), None);
    judge(&before, get(40, 41, sees(1)), Some(Kind::Resurrected));
    // A delete that found nothing binds as well, a refused one does not.
    let before = [put(1, 0, 10, UNKNOWN), delete(2, 20, 30, NOT_THERE)];
    judge(&before, get(40, 41, sees(1)), Some(Kind::Resurrected));
    let before = [put(1, 0, 10, CREATED), delete(2, 20, 30, NOT_EXECUTED)];
    judge(&before, get(40, 41, sees(1)), None);
    judge(&before, get(40, 41, NOTHING), Some(Kind::Lost));
}

#[test]
fn value_that_was_never_written_is_found() {
    let before = [put(1, 0, 10, CREATED), delete(2, 20, 30, UNKNOWN), put(3, 100, 110, CREATED)];
    let foreign = Outcome::Done(Told::Read(Found::Foreign("x".to_owned())));
    judge(&before, get(40, 41, foreign), Some(Kind::NeverWritten));
    judge(&before, get(40, 41, sees(7)), Some(Kind::NeverWritten));
    // Deletes have no value, and nobody sees the future.
    judge(&before, get(40, 41, sees(2)), Some(Kind::NeverWritten));
    judge(&before, get(40, 41, sees(3)), Some(Kind::NeverWritten));
}

#[test]
fn value_of_a_write_that_was_not_executed_is_found() {
    let before = [put(1, 0, 10, CREATED), put(2, 20, 30, NOT_EXECUTED)];
    judge(&before, get(40, 41, sees(2)), Some(Kind::NotExecuted));
    judge(&before, get(25, 26, sees(2)), Some(Kind::NotExecuted));
    judge(&before, get(40, 41, sees(1)), None);
    let before = [put(1, 0, 10, CREATED), put_if(2, Condition::Absent, 20, 30, Outcome::Refused)];
    judge(&before, get(40, 41, sees(2)), Some(Kind::NotExecuted));
}

#[test]
fn time_to_live_ends_a_value_in_time_and_not_before() {
    let before = [
        put(1, 0, 10, CREATED),
        delete(2, 20, 30, DELETED),
        put_for(3, 1000, 10_000, 10_010),
    ];
    judge(&before, get(10_500, 10_501, sees(3)), None);
    judge(&before, get(10_500, 10_501, NOTHING), Some(Kind::Lost));
    for told in [sees(3), NOTHING] {
        judge(&before, get(11_000, 11_010, told), None);
    }
    judge(&before, get(11_200, 11_210, NOTHING), None);
    judge(&before, get(11_200, 11_210, sees(3)), Some(Kind::Expired));
}

#[test]
fn answers_of_writes_are_judged() {
    let held = [put(1, 0, 10, CREATED)];
    judge(&held, put(2, 20, 30, CREATED), Some(Kind::Answer));
    judge(&held, put(2, 20, 30, STORED), None);
    judge(&held, delete(2, 20, 30, NOT_THERE), Some(Kind::Answer));
    judge(&held, put_if(2, Condition::Absent, 20, 30, CREATED), Some(Kind::Answer));
    judge(&held, put_if(2, Condition::Absent, 20, 30, Outcome::Refused), None);
    judge(&held, put_if(2, Condition::Holds(1), 20, 30, STORED), None);
    judge(
        &held,
        put_if(2, Condition::Holds(1), 20, 30, Outcome::Refused),
        Some(Kind::Answer),
    );
    judge(&[], put(1, 20, 30, STORED), Some(Kind::Answer));
    judge(
        &[],
        put_if(1, Condition::Absent, 20, 30, Outcome::Refused),
        Some(Kind::Answer),
    );
    // Repeated until its own time was over.
    judge(&held, put_for(2, 1000, 20, 900), Some(Kind::Answer));
    judge(&held, put_for(2, 1000, 20, 1500), None);
    let unsure = [put(1, 0, 10, CREATED), put(2, 12, 14, UNKNOWN)];
    for outcome in [STORED, Outcome::Refused] {
        judge(&unsure, put_if(3, Condition::Holds(1), 20, 30, outcome), None);
    }
    let newer = [put(1, 0, 10, CREATED), put(2, 12, 14, STORED)];
    judge(&newer, put_if(3, Condition::Holds(1), 20, 30, STORED), Some(Kind::Answer));
}

#[test]
fn crash_may_forget_its_window_and_nothing_before() {
    let window = Some(Window {
        from: ms(100),
        crash: ms(200),
    });
    let before = [
        put(1, 0, 10, CREATED),
        put(2, 50, 60, STORED),
        put(3, 110, 120, STORED),
        put(4, 300, 310, STORED),
    ];
    let judge = |last: Event| {
        let mut events = before.to_vec();
        events.push(last);
        wrongs(events, window)
    };
    for told in [sees(2), sees(3)] {
        assert_eq!(judge(get(250, 251, told)), []);
    }
    assert_eq!(judge(get(250, 251, sees(1))), [Kind::Old]);
    assert_eq!(judge(get(250, 251, NOTHING)), [Kind::Lost]);
    // Before the crash and after it, everything binds.
    assert_eq!(judge(get(150, 151, sees(2))), [Kind::Old]);
    assert_eq!(judge(get(350, 351, sees(3))), [Kind::Old]);
}

#[test]
fn counters_count_each_addition_once() {
    let right = vec![
        add(0, 10, count(1)),
        add(20, 30, UNKNOWN),
        add(40, 50, count(3)),
        add(60, 70, NOT_EXECUTED),
        add(80, 90, count(4)),
        event(COUNTER, 100, 110, Op::Get, count(4)),
    ];
    assert_eq!(wrongs(right.clone(), None), []);
    let with = |place: usize, told: i64| {
        let mut events = right.clone();
        events[place].outcome = count(told);
        wrongs(events, None)
    };
    assert_eq!(with(5, 5), [Kind::Count], "too much");
    assert_eq!(with(5, 2), [Kind::Count], "too little");
    assert_eq!(with(4, 3), [Kind::Count], "the same twice");
    assert_eq!(with(2, 1), [Kind::Count, Kind::Count], "the same twice, and one lost");
}
