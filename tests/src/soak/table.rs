//! Many histories in one table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{Done, Engine, Fault, Plan};

/// Sums by engine and fault, as Markdown.
#[derive(Debug, Default)]
pub struct Table {
    rows: BTreeMap<(Engine, Fault), Row>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Row {
    histories: usize,
    struck: usize,
    ok: usize,
    failed: usize,
    unknown: usize,
    seen: usize,
    outage: Duration,
    violations: usize,
    undecided: usize,
    troubles: usize,
}

impl Table {
    /// Adds a history.
    pub fn add(&mut self, done: &Done) {
        let row = self.rows.entry((done.plan.engine, done.plan.fault)).or_default();
        let counts = done.judgement.counts;
        row.add(&Row {
            histories: 1,
            struck: done.struck,
            ok: counts.ok,
            failed: counts.failed,
            unknown: counts.unknown,
            seen: counts.seen,
            outage: done.outage,
            violations: usize::from(done.judgement.is_violation()),
            undecided: usize::from(!done.judgement.is_violation() && !done.judgement.is_proven()),
            troubles: usize::from(!done.troubles.is_empty()),
        });
    }

    /// Adds a history that did not even begin or end.
    pub fn add_broken(&mut self, plan: &Plan) {
        let row = self.rows.entry((plan.engine, plan.fault)).or_default();
        row.add(&Row {
            histories: 1,
            troubles: 1,
            ..Row::default()
        });
    }

    /// Histories so far, and how many of them are not as they should be.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let total = self.total();
        (total.histories, total.violations + total.undecided + total.troubles)
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.counts().1 == 0
    }

    fn total(&self) -> Row {
        self.rows.values().fold(Row::default(), |mut total, row| {
            total.add(row);
            total
        })
    }
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.struck += other.struck;
        self.ok += other.ok;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.seen += other.seen;
        self.outage = self.outage.max(other.outage);
        self.violations += other.violations;
        self.undecided += other.undecided;
        self.troubles += other.troubles;
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, engine: &str, fault: &str) -> fmt::Result {
        let Self {
            histories,
            struck,
            ok,
            failed,
            unknown,
            seen,
            violations,
            undecided,
            troubles,
            ..
        } = self;
        let outage = self.outage.as_secs_f64();
        writeln!(
            f,
            "| {engine:<6} | {fault:<9} | {histories:>9} | {struck:>6} | {ok:>9} | {failed:>12} | {unknown:>7} | {seen:>9} | {outage:>16.1} | {violations:>10} | \
             {undecided:>9} | {troubles:>8} |"
        )
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| engine | fault     | histories | faults | executed  | not executed | unknown | watched   | longest outage s | violations | undecided | troubles |"
        )?;
        writeln!(f, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
        for ((engine, fault), row) in &self.rows {
            row.write(f, &engine.to_string(), fault.name())?;
        }
        self.total().write(f, "all", "")
    }
}
