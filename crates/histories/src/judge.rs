//! Everything that can be said of a history.

use std::fmt;

use crate::history::{History, Malformed, Operation};
use crate::linearizability::{self, Limits, Report};
use crate::{provenance, revisions, watch};

/// Lines of one kind shown.
const SHOWN: usize = 12;

/// The judgement of a history.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// What was run.
    pub title: String,
    /// The seed of the run.
    pub seed: u64,
    /// Operations by how they ended.
    pub counts: Counts,
    /// Linearizability.
    pub report: Report,
    /// Values that nobody can have written.
    pub provenance: Vec<String>,
    /// Revisions that are not one order in real time.
    pub revisions: Vec<String>,
    /// Watches that were not whole.
    pub watches: Vec<String>,
}

/// Operations by how they ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Executed.
    pub ok: usize,
    /// Not executed.
    pub failed: usize,
    /// Nobody knows.
    pub unknown: usize,
    /// Changes that watchers saw.
    pub seen: usize,
}

/// Judges a history.
///
/// # Errors
/// When it makes no sense as a record.
pub fn judge(history: &History, limits: Limits) -> Result<Judgement, Malformed> {
    let operations = history.operations()?;
    let events = &history.events;
    Ok(Judgement {
        title: history.about.title.clone(),
        seed: history.about.seed,
        counts: Counts::new(&operations, history),
        report: linearizability::check(&operations, limits),
        provenance: provenance::check(&operations, events),
        revisions: revisions::check(&operations, events),
        watches: watch::check(&operations, events),
    })
}

impl Counts {
    fn new(operations: &[Operation], history: &History) -> Self {
        let of = |holds: fn(&Operation) -> bool| operations.iter().filter(|operation| holds(operation)).count();
        let changes = history.events.iter().filter(|event| {
            matches!(
                &event.what,
                crate::history::What::Watch {
                    seen: crate::history::Seen::Change { .. }
                }
            )
        });
        Self {
            ok: of(|operation| operation.answer().is_some()),
            failed: of(Operation::has_failed),
            unknown: of(Operation::is_open),
            seen: changes.count(),
        }
    }
}

impl Judgement {
    /// Whether something is certainly wrong.
    #[must_use]
    pub fn is_violation(&self) -> bool {
        !self.report.violations.is_empty() || self.words().next().is_some()
    }

    /// Whether nothing is wrong, for certain.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        !self.is_violation() && self.report.unknown.is_empty()
    }

    fn words(&self) -> impl Iterator<Item = &String> {
        self.provenance.iter().chain(&self.revisions).chain(&self.watches)
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            ok,
            failed,
            unknown,
            seen,
        } = self.counts;
        let verdict = if self.is_violation() {
            "VIOLATION"
        } else if self.is_proven() {
            "linearizable"
        } else {
            "unknown"
        };
        writeln!(
            f,
            "{verdict}: {} (seed {}): {ok} ok, {failed} not executed, {unknown} unknown, {seen} seen by watchers; \
             {} operations in {} parts",
            self.title, self.seed, self.report.operations, self.report.parts
        )?;
        for violation in &self.report.violations {
            writeln!(f, "{violation}")?;
        }
        for (part, why) in &self.report.unknown {
            writeln!(f, "undecided: {part}: {why}")?;
        }
        for (name, lines) in [
            ("provenance", &self.provenance),
            ("revisions", &self.revisions),
            ("watches", &self.watches),
        ] {
            for line in lines.iter().take(SHOWN) {
                writeln!(f, "{name}: {line}")?;
            }
            if lines.len() > SHOWN {
                writeln!(f, "{name}: … {} more", lines.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}
