//! A violation made small enough to be understood: the shortest beginning of the history that no order explains, less
//! everything that it can do without.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use crate::history::{Ending, Operation, Value};
use crate::linearizability::{Limits, check_part};
use crate::model::{Model, Store};
use crate::partition::Part;
use crate::sight::Sight;
use crate::wgl::{self, Bounds, Call, Verdict};

/// Time for making it small; it is a violation at any size.
const PATIENCE: Duration = Duration::from_secs(10);
/// Operations shown.
const SHOWN: usize = 24;

/// Operations that no order explains.
#[derive(Debug, Clone)]
pub struct Counterexample {
    /// The keys they are about.
    pub keys: Vec<String>,
    /// The operations, in the order in which they began.
    pub operations: Vec<Operation>,
    /// Of how many they are a part.
    pub of: usize,
    /// The longest order found (indices), the state after it, and which operations could come next and do not fit.
    pub stuck: Option<(Vec<usize>, String, Vec<usize>)>,
}

impl Counterexample {
    /// One that is only named.
    pub(crate) fn named(part: &Part<'_>) -> Self {
        Self {
            keys: part.keys.iter().map(|key| (*key).to_owned()).collect(),
            operations: Vec::new(),
            of: part.operations.len(),
            stuck: None,
        }
    }
}

/// Makes a part small that is known to be no linearizable history.
pub(crate) fn shrink(part: &Part<'_>, limits: Limits) -> Counterexample {
    let shrinker = Shrinker {
        keys: &part.keys,
        bounds: Bounds {
            deadline: Instant::now() + PATIENCE,
            situations: limits.situations,
        },
    };
    let operations = shrinker.beginning(&part.operations);
    let operations = shrinker.less(operations);
    let stuck = shrinker.stuck(&operations);
    Counterexample {
        keys: part.keys.iter().map(|key| (*key).to_owned()).collect(),
        operations,
        of: part.operations.len(),
        stuck,
    }
}

struct Shrinker<'a> {
    keys: &'a [&'a str],
    bounds: Bounds,
}

impl Shrinker<'_> {
    fn is_violation(&self, operations: &[Operation]) -> bool {
        let operations: Vec<_> = operations.iter().collect();
        matches!(check_part(self.keys, &operations, self.bounds), Verdict::Violation(_))
    }

    /// The shortest beginning that is a violation: a beginning of a linearizable history is linearizable.
    fn beginning(&self, operations: &[&Operation]) -> Vec<Operation> {
        let mut ends: Vec<u64> = operations
            .iter()
            .filter(|operation| operation.answer().is_some())
            .filter_map(|operation| operation.returned)
            .collect();
        ends.sort_unstable();
        let (mut low, mut high) = (0, ends.len().saturating_sub(1));
        while low < high {
            let middle = low.midpoint(high);
            if self.is_violation(&until(operations, ends[middle])) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        until(operations, ends.get(high).copied().unwrap_or(u64::MAX))
    }

    /// Leaves out as much as possible, in ever smaller pieces, but nothing that what is left was told of: without the writer of
    /// a value, the sight of that value alone would be a violation, and another one.
    fn less(&self, mut operations: Vec<Operation>) -> Vec<Operation> {
        let mut size = operations.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < operations.len() && Instant::now() < self.bounds.deadline {
                let kept = keep(&operations, |index| !(from..from + size).contains(&index));
                if kept.len() < operations.len() && self.is_violation(&kept) {
                    operations = kept;
                } else {
                    from += size;
                }
            }
            size /= 2;
        }
        operations
    }

    fn stuck(&self, operations: &[Operation]) -> Option<(Vec<usize>, String, Vec<usize>)> {
        let store = Store::new(self.keys.iter().copied());
        let calls: Vec<_> = operations
            .iter()
            .map(|operation| Call {
                called: operation.called,
                returned: operation.answer().and(operation.returned),
                op: &operation.op,
                answer: operation.answer(),
                like: None,
            })
            .collect();
        let Verdict::Violation(order) = wgl::search(&store, &calls, self.bounds) else {
            return None;
        };
        let mut state = store.initial();
        for index in &order {
            state = store.step(&state, calls[*index].op, calls[*index].answer)?;
        }
        let happened: HashSet<_> = order.iter().copied().collect();
        let missing = || (0..calls.len()).filter(|index| !happened.contains(index));
        let first_end = missing().filter_map(|index| calls[index].returned).min()?;
        let next = missing().filter(|index| calls[*index].returned.is_some() && calls[*index].called < first_end);
        Some((order.clone(), store.show(&state), next.collect()))
    }
}

/// What had been recorded at a moment; what had not ended then is open.
fn until(operations: &[&Operation], end: u64) -> Vec<Operation> {
    let begun = operations.iter().filter(|operation| operation.called <= end);
    begun
        .map(|operation| {
            let mut operation = (*operation).clone();
            if operation.returned.is_none_or(|returned| returned > end) {
                operation.ending = Ending::Info("not ended yet".to_owned());
                operation.returned = None;
            }
            operation
        })
        .collect()
}

/// Operations that are wanted, and those that these may have been told of: the writers of values they saw; whatever removes
/// keys, when one was absent; whatever changes anything, when all that was told is that something is there.
fn keep(operations: &[Operation], wanted: impl Fn(usize) -> bool) -> Vec<Operation> {
    let mut writers: HashMap<(&str, Value), Vec<usize>> = HashMap::new();
    for (index, operation) in operations.iter().enumerate() {
        for value in operation.op.produces() {
            writers.entry(value).or_default().push(index);
        }
    }
    let mut kept: HashSet<usize> = HashSet::new();
    let mut found: Vec<usize> = (0..operations.len()).filter(|index| wanted(*index)).collect();
    while let Some(index) = found.pop() {
        if !kept.insert(index) {
            continue;
        }
        let operation = &operations[index];
        let sights: Vec<_> = match operation.answer() {
            Some(answer) => vec![Sight::of(&operation.op, answer)],
            None => {
                let produced = operation.op.produces().into_iter();
                produced
                    .map(|(key, value)| Sight::behind(&operation.op, key, &value))
                    .collect()
            }
        };
        for sight in sights {
            found.extend(sight.values.iter().filter_map(|value| writers.get(value)).flatten());
            let all = operations.iter().enumerate();
            let told = all.filter(|(_, other)| {
                sight.is_vague && !other.op.produces().is_empty() || (sight.is_vague || sight.absence) && other.op.deletes()
            });
            found.extend(told.map(|(index, _)| index));
        }
    }
    let operations = operations.iter().enumerate();
    operations
        .filter(|(index, _)| kept.contains(index))
        .map(|(_, operation)| operation.clone())
        .collect()
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.operations.len();
        if count == 0 {
            return write!(f, "no order explains the {} operations on {}", self.of, self.keys.join(", "));
        }
        writeln!(
            f,
            "no order explains these {count} of {} operations on {}:",
            self.of,
            self.keys.join(", ")
        )?;
        let hidden = count.saturating_sub(SHOWN);
        if hidden > 0 {
            writeln!(f, "  … {hidden} earlier ones")?;
        }
        let shown = &self.operations[hidden..];
        let mut times: Vec<u64> = shown
            .iter()
            .flat_map(|operation| [Some(operation.called), end(operation)])
            .flatten()
            .collect();
        times.sort_unstable();
        let column = |time: u64| times.partition_point(|other| *other < time);
        for (index, operation) in shown.iter().enumerate() {
            let from = column(operation.called);
            let bar = match end(operation) {
                Some(end) => format!("├{}┤", "─".repeat(column(end).saturating_sub(from + 1))),
                None => format!("├{}╌", "─".repeat(times.len().saturating_sub(from + 1))),
            };
            writeln!(
                f,
                "  {:>4} p{:<4} {:>11} ms  {:<width$}  {operation}{}",
                format!("#{}", hidden + index + 1),
                operation.process,
                millis(operation),
                format!("{}{bar}", " ".repeat(from)),
                if operation.via.is_empty() {
                    String::new()
                } else {
                    format!("  [{}]", operation.via)
                },
                width = times.len() + 1
            )?;
        }
        let Some((order, state, next)) = &self.stuck else {
            return Ok(());
        };
        let name = |index: &usize| format!("#{}", index + 1);
        let tail = &order[order.len().saturating_sub(SHOWN)..];
        let list = |indices: &[usize]| indices.iter().map(name).collect::<Vec<_>>().join(" ");
        let dots = if tail.len() < order.len() { "… " } else { "" };
        writeln!(f, "  as far as it goes: {dots}{}; then {state}", list(tail))?;
        write!(f, "  and now one of these must follow, and none fits: {}", list(next))
    }
}

fn end(operation: &Operation) -> Option<u64> {
    operation.answer().and(operation.returned)
}

fn millis(operation: &Operation) -> String {
    let (from, to) = operation.us;
    match end(operation) {
        Some(_) => format!("{}–{}", from / 1000, to / 1000),
        None => format!("{}–", from / 1000),
    }
}
