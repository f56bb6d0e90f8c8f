//! The checkers: histories known to be bad are rejected with a reason, and on generated ones ours agrees with one that is not
//! ours.

mod agreement;
mod known_bad;
mod other;
mod script;
mod simulated;
