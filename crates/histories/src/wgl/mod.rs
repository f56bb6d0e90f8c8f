//! Whether some order of concurrent operations is one that a sequential object could have seen.
//!
//! The search is Wing and Gong's (1993, "Testing and Verifying Concurrent Objects"), with Lowe's memory of what has been tried
//! (2017, "Testing for linearizability", §4) on a doubly linked list as Horn and Kroening describe it (2015, "Faster
//! linearizability checking via P-compositionality", §4). Four things are ours:
//! - operations that never ended stay candidates until the end, are tried after all others, and need not happen; where one would
//!   change nothing, it is not tried at all;
//! - of several such that do the same, only the first is tried: whenever one of them could happen, it could instead;
//! - an operation that only reads is taken as soon as its answer fits, before all others, and no other choice is tried in its
//!   place: wherever else it could stand, it can stand here too;
//! - what has been tried is remembered as a 128-bit fingerprint of the set of operations and the state. Two of them being
//!   equal by chance (below 10⁻²⁰ for any number that fits in memory) would end in a false alarm, never in a false pass.

mod list;
mod memo;

use std::time::Instant;

use crate::model::Model;
use list::{Link, List};
use memo::Memo;

/// An operation as the search sees it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a, O, A> {
    /// When it began.
    pub called: u64,
    /// When it had happened at the latest; none for one that need not have happened.
    pub returned: Option<u64>,
    /// What was asked.
    pub op: &'a O,
    /// What was told, if it is known.
    pub answer: Option<&'a A>,
    /// An earlier call (its index) that need not have happened and does the same: this one is tried only after it.
    pub like: Option<usize>,
}

/// How much may be spent.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Until when.
    pub deadline: Instant,
    /// Situations remembered: 32 bytes each at most.
    pub situations: usize,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This order (indices of calls) explains everything.
    Linearizable(Vec<usize>),
    /// No order does. The longest one that explains a part, in which every operation fits after those before it.
    Violation(Vec<usize>),
    /// The bounds were reached first.
    Unknown(&'static str),
}

/// Operations between two looks at the clock.
const LOOK: u32 = 4096;

/// An operation in the order that is being tried.
struct Taken<S> {
    call: usize,
    before: S,
    before_hash: u128,
    /// Nothing else needs to be tried in its place.
    forced: bool,
}

/// Searches for an order.
pub fn search<M: Model>(model: &M, calls: &[Call<'_, M::Op, M::Answer>], bounds: Bounds) -> Verdict {
    let mut search = Search::new(model, calls, bounds);
    let mut until_look = LOOK;
    let mut next = search.start();
    while search.missing > 0 {
        until_look -= 1;
        if until_look == 0 {
            until_look = LOOK;
            if Instant::now() >= bounds.deadline {
                return Verdict::Unknown("the time is up");
            }
        }
        next = match next {
            Link::Call(call) => match search.attempt(call) {
                Attempt::Taken => search.start(),
                Attempt::Refused => search.list.after(call),
                // Its situation was tried before, and in vain; so is everything else from here.
                Attempt::InVain => Link::End,
                Attempt::NoRoom => return Verdict::Unknown("the memory is used up"),
            },
            // Something has to happen before the next operation ends, and nothing can.
            Link::End => match search.go_back() {
                Some(choice) => search.list.after(choice),
                None => return Verdict::Violation(search.best),
            },
        };
    }
    Verdict::Linearizable(search.taken.into_iter().map(|taken| taken.call).collect())
}

/// An order under construction.
struct Search<'a, M: Model> {
    model: &'a M,
    calls: &'a [Call<'a, M::Op, M::Answer>],
    /// Which of them only read.
    reads: Vec<bool>,
    happened: Vec<bool>,
    list: List,
    memo: Memo,
    state: M::State,
    state_hash: u128,
    taken: Vec<Taken<M::State>>,
    /// Operations that must have happened and have not.
    missing: usize,
    /// The longest order so far, and how many it misses.
    best: Vec<usize>,
    fewest: usize,
}

enum Attempt {
    Taken,
    Refused,
    InVain,
    NoRoom,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, calls: &'a [Call<'a, M::Op, M::Answer>], bounds: Bounds) -> Self {
        let state = model.initial();
        let missing = calls.iter().filter(|call| call.returned.is_some()).count();
        let reads = |call: &Call<'_, M::Op, M::Answer>| call.answer.is_some_and(|answer| model.only_reads(call.op, answer));
        Self {
            model,
            calls,
            reads: calls.iter().map(reads).collect(),
            happened: vec![false; calls.len()],
            list: List::new(calls.iter().map(|call| (call.called, call.returned))),
            memo: Memo::new(bounds.situations),
            state_hash: memo::fingerprint(&state),
            state,
            taken: Vec::new(),
            missing,
            best: Vec::new(),
            fewest: missing,
        }
    }

    /// What to try first in a new situation: a read that fits, or whatever comes first.
    fn start(&self) -> Link {
        let mut next = self.list.first();
        while let Link::Call(call) = next {
            let Call { op, answer, .. } = &self.calls[call];
            if self.reads[call] && self.model.step(&self.state, op, *answer).is_some() {
                return next;
            }
            if self.calls[call].returned.is_none() {
                break;
            }
            next = self.list.after(call);
        }
        self.list.first()
    }

    fn attempt(&mut self, call: usize) -> Attempt {
        let Call {
            op,
            answer,
            returned,
            like,
            ..
        } = &self.calls[call];
        if like.is_some_and(|like| !self.happened[like]) {
            return Attempt::Refused;
        }
        let Some(after) = self.model.step(&self.state, op, *answer) else {
            return Attempt::Refused;
        };
        let is_same = after == self.state;
        if is_same && returned.is_none() {
            return Attempt::Refused;
        }
        let forced = self.reads[call];
        let after_hash = if is_same { self.state_hash } else { memo::fingerprint(&after) };
        self.memo.toggle(call);
        match self.memo.remember(after_hash) {
            Some(true) => {}
            Some(false) => {
                self.memo.toggle(call);
                return if forced { Attempt::InVain } else { Attempt::Refused };
            }
            None => return Attempt::NoRoom,
        }
        self.list.take(call);
        self.happened[call] = true;
        self.missing -= usize::from(returned.is_some());
        let (before, before_hash) = (std::mem::replace(&mut self.state, after), self.state_hash);
        self.state_hash = after_hash;
        self.taken.push(Taken {
            call,
            before,
            before_hash,
            forced,
        });
        // Often enough to be exact where it is shown, and seldom enough to cost nothing.
        if self.missing < self.fewest && self.fewest - self.missing > self.calls.len() / 64 {
            self.fewest = self.missing;
            self.best = self.taken.iter().map(|taken| taken.call).collect();
        }
        Attempt::Taken
    }

    /// Takes back what has happened since the last choice that could have been another one, and that choice.
    fn go_back(&mut self) -> Option<usize> {
        loop {
            let last = self.taken.pop()?;
            self.list.put_back(last.call);
            self.happened[last.call] = false;
            self.memo.toggle(last.call);
            self.missing += usize::from(self.calls[last.call].returned.is_some());
            (self.state, self.state_hash) = (last.before, last.before_hash);
            if !last.forced {
                return Some(last.call);
            }
        }
    }
}
