//! One history, from an empty cluster to the verdict.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fastrand::Rng;
use futures::FutureExt;
use histories::history::{Event, History, Operation, What};
use histories::judge::{Judgement, judge};
use histories::linearizability::Limits;
use histories::workload::{THE_END, Workload};
use tokio::time::Instant;

use super::nemesis::Nemesis;
use super::{Cluster, Engine, Fault};

/// Time for every key to be read and every watcher to be through, when all is whole again.
const SETTLED: Duration = Duration::from_secs(120);

/// What is to be run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Where masters keep what they know.
    pub engine: Engine,
    /// Masters.
    pub masters: usize,
    /// What breaks.
    pub fault: Fault,
    /// Seed of the clients' and the nemesis' choices.
    pub seed: u64,
    /// Time under load.
    pub time: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// What was run.
    pub plan: Plan,
    /// The verdict.
    pub judgement: Judgement,
    /// What else went wrong: a cluster that did not become whole, a panic.
    pub troubles: Vec<String>,
    /// Faults that took place.
    pub struck: usize,
    /// Longest time in which no write was acknowledged.
    pub outage: Duration,
    /// What the nemesis had done last before its end.
    pub cause: String,
    /// Where the record is.
    pub file: PathBuf,
}

impl Done {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.judgement.is_proven() && self.troubles.is_empty()
    }
}

/// Runs a history; its record is left in a directory, with the masters' logs when something is wrong.
///
/// # Panics
/// When the cluster does not come up.
pub async fn run(plan: Plan, directory: &Path) -> Done {
    let title = format!("{} masters on {}, fault {}", plan.masters, plan.engine, plan.fault);
    let mut cluster = Cluster::start(plan.engine, plan.masters, plan.fault.parts(plan.engine)).await;
    let workload = Workload::new(cluster.targets(), plan.seed, &title);
    let running = workload.start().await.expect("a whole cluster takes writes");
    let mut nemesis = Nemesis {
        cluster: &mut cluster,
        running: &running,
        rng: Rng::with_seed(plan.seed ^ 2),
        struck: 0,
    };
    nemesis.torment(plan.fault, Instant::now() + plan.time).await;
    let struck = nemesis.struck;
    running.note("all is made whole");
    let mut troubles = Vec::new();
    if struck == 0 && plan.fault != Fault::None {
        troubles.push(format!("the fault {} never took place: the record says why", plan.fault));
    }
    // What was recorded tells why, so it is kept and judged all the same.
    let healed = AssertUnwindSafe(cluster.heal()).catch_unwind().await;
    if let Err(panic) = &healed {
        troubles.push(format!("it did not become whole: {}", words(panic.as_ref())));
    }
    let settled = if healed.is_ok() { SETTLED } else { Duration::ZERO };
    let history = match running.finish(&cluster.targets(), settled).await {
        Ok(history) => history,
        Err((reason, history)) => {
            troubles.push(reason);
            history
        }
    };
    let name = format!("{}-{}-{:x}", plan.engine, plan.fault, plan.seed);
    let file = directory.join(format!("{name}.ndjson"));
    history.save(&file).expect("the directory can be written");
    let (outage, cause) = outage(&history);
    let judged = tokio::task::spawn_blocking(move || judge(&history, Limits::default())).await;
    let judgement = judged.expect("the judge does not panic").expect("the record makes sense");
    troubles.extend(cluster.panics());
    let done = Done {
        plan,
        judgement,
        troubles,
        struck,
        outage,
        cause,
        file,
    };
    if !done.is_good() {
        cluster.keep_logs(directory, &name);
    }
    done
}

/// What a panic said.
#[must_use]
pub fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}

/// The longest time between two acknowledged writes, and what had been noted last before its end.
fn outage(history: &History) -> (Duration, String) {
    let operations = history.operations().unwrap_or_default();
    let acknowledged = |operation: &&Operation| {
        operation
            .answer()
            .is_some_and(|answer| answer.write_revision(&operation.op) > 0)
    };
    // Afterwards keys are only read.
    let is_end = |event: &&Event| matches!(&event.what, What::Note { text } if text == THE_END);
    let end = history.events.iter().find(is_end).map_or(u64::MAX, |event| event.us);
    let times = operations.iter().filter(acknowledged).map(|operation| operation.us.1);
    let mut times: Vec<_> = times.filter(|time| *time < end).collect();
    times.sort_unstable();
    let gaps = times.windows(2).map(|pair| (pair[1] - pair[0], pair[1]));
    let (longest, end) = gaps.max().unwrap_or_default();
    let mut notes = history.events.iter().filter_map(|event| match &event.what {
        What::Note { text } if event.us < end => Some(text.clone()),
        _ => None,
    });
    (Duration::from_micros(longest), notes.next_back().unwrap_or_default())
}
