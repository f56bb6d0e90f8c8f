//! What the store is when one client uses it at a time. Short enough to be believed by reading.
//!
//! `cell` is one key: a register, a compare-and-swap register, a list that grows by compare-and-swap. [`Store`] is several
//! of them, with transactions.

mod cell;
mod store;

use std::hash::Hash;

pub use store::Store;

/// A sequential object.
pub trait Model {
    /// What it is asked.
    type Op;
    /// What it answers.
    type Answer;
    /// What it remembers.
    type State: Clone + Eq + Hash;

    /// Its state before everything.
    fn initial(&self) -> Self::State;

    /// Its state after an operation, if it gives this answer in this state; without an answer, whatever it answers.
    fn step(&self, state: &Self::State, op: &Self::Op, answer: Option<&Self::Answer>) -> Option<Self::State>;

    /// Whether an operation that is answered so never changes anything, in no state in which it is answered so.
    fn only_reads(&self, op: &Self::Op, answer: &Self::Answer) -> bool;
}
