//! Numbers of attempts: unique within (job, stage, partition) over runs, leaders and twins.
//!
//! ```text
//!   | run: 16 bits | term of the job: 6 bits | count: 10 bits |
//! ```
//! A run begins with each planning. A term begins with each leader that takes the job over: what the leader before it gave out
//! last is not known for sure, so the new one counts from where no leader before it can have come.

use api::task::ATTEMPT_BITS;

/// Bits that count within a term.
const COUNT_BITS: u32 = 10;
/// Terms of one run; a job that sees more leaders is planned anew.
pub(crate) const MAX_TERMS: u32 = 1 << (ATTEMPT_BITS - COUNT_BITS);

/// First number of a term.
pub(crate) const fn base(term: u32) -> u32 {
    term << COUNT_BITS
}

/// Numbers from here on belong to the next term.
pub(crate) const fn limit(term: u32) -> u32 {
    (term + 1) << COUNT_BITS
}

/// The attempt as workers know it.
pub(crate) const fn full(run: u32, number: u32) -> u32 {
    (run << ATTEMPT_BITS) | number
}

/// The number within its run.
pub(crate) const fn number(attempt: u32) -> u32 {
    attempt & ((1 << ATTEMPT_BITS) - 1)
}

/// The run it belongs to.
pub(crate) const fn run(attempt: u32) -> u32 {
    attempt >> ATTEMPT_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_and_runs_do_not_meet() {
        assert_eq!(limit(0), base(1));
        assert_eq!(limit(MAX_TERMS - 1), 1 << ATTEMPT_BITS);
        let attempt = full(3, base(2) + 5);
        assert_eq!((run(attempt), number(attempt)), (3, 2 * 1024 + 5));
    }
}
