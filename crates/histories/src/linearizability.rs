//! Whether a history is linearizable: each part of it that can be judged alone is.

use std::time::{Duration, Instant};

use crate::counterexample::{Counterexample, shrink};
use crate::history::Operation;
use crate::model::Store;
use crate::partition::{Part, parts};
use crate::prepared::Prepared;
use crate::wgl::{self, Bounds, Verdict};

/// Violations that are made small; further ones are only named.
const SHRUNK: usize = 3;

/// How much a judgement may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time for all of it.
    pub time: Duration,
    /// Situations remembered at once: some 40 bytes each.
    pub situations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            situations: 8_000_000,
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Parts that were judged alone.
    pub parts: usize,
    /// Operations in them: linearizable ones that were not refused.
    pub operations: usize,
    /// Parts that no order explains.
    pub violations: Vec<Counterexample>,
    /// Parts that could not be decided, with why.
    pub unknown: Vec<(String, &'static str)>,
}

/// Judges operations. Stale reads promise nothing here, and what was refused has not happened; neither takes part.
#[must_use]
pub fn check(operations: &[Operation], limits: Limits) -> Report {
    let deadline = Instant::now() + limits.time;
    let takes_part = |operation: &&Operation| !operation.op.is_stale_read() && !operation.has_failed();
    let parts = parts(operations.iter().filter(takes_part));
    let mut report = Report {
        parts: parts.len(),
        ..Report::default()
    };
    for part in &parts {
        report.operations += part.operations.len();
        // One that is hard leaves time for the others.
        let bounds = Bounds {
            deadline: deadline.min(Instant::now() + limits.time / 3),
            situations: limits.situations,
        };
        match check_part(&part.keys, &part.operations, bounds) {
            Verdict::Linearizable(_) => {}
            Verdict::Violation(_) if report.violations.len() < SHRUNK => report.violations.push(shrink(part, limits)),
            Verdict::Violation(_) => report.violations.push(Counterexample::named(part)),
            Verdict::Unknown(why) => report.unknown.push((part.name(), why)),
        }
    }
    report
}

/// Judges operations on some keys.
pub(crate) fn check_part(keys: &[&str], operations: &[&Operation], bounds: Bounds) -> Verdict {
    let prepared = Prepared::new(operations);
    let store = Store::new(keys.iter().copied()).telling(prepared.asked);
    let verdict = wgl::search(&store, &prepared.certain, bounds);
    match verdict {
        // Without those that nobody saw it does not add up; with them it may.
        Verdict::Violation(_) if !prepared.unseen.is_empty() => {
            let mut all = prepared.certain;
            all.extend(prepared.unseen);
            wgl::search(&store, &all, bounds)
        }
        verdict => verdict,
    }
}

impl Part<'_> {
    /// Its keys, for people.
    pub(crate) fn name(&self) -> String {
        self.keys.join(", ")
    }
}
