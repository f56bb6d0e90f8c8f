//! The workload on real engines in this process: what they do is linearizable, and what a broken one does is found.

mod broken;
mod etcd;
#[path = "../checkers/other.rs"]
mod other;
mod raft;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use histories::history::{History, Op, What};
use histories::judge::{Judgement, judge};
use histories::linearizability::Limits;
use histories::target::Target;
use histories::workload::Workload;

/// Repeats the clients' choices of a run.
const SEED: &str = "ELASTICORE_SEED";
/// Time for everything to be seen at the end.
const SETTLED: Duration = Duration::from_secs(30);

/// A seed, which is printed.
fn seed() -> u64 {
    let seed = std::env::var(SEED).map_or_else(
        |_| fastrand::u64(..),
        |text| text.parse().expect("ELASTICORE_SEED is a number"),
    );
    println!("{SEED}={seed}");
    seed
}

/// Runs clients for a while, and `meanwhile` beside them.
async fn run(title: &str, targets: &[Arc<dyn Target>], time: Duration, meanwhile: impl Future<Output = ()>) -> History {
    let workload = Workload {
        generation: Duration::from_secs(1),
        pause: Duration::from_millis(4),
        ..Workload::new(targets.to_vec(), seed(), title)
    };
    let running = workload.start().await.expect("the store works");
    tokio::join!(tokio::time::sleep(time), meanwhile);
    running
        .finish(targets, SETTLED)
        .await
        .unwrap_or_else(|(reason, history)| panic!("{reason}; the history: {}", kept(&history).display()))
}

/// Judges a history, which is kept for another look when something is wrong with it.
fn judged(history: &History) -> Judgement {
    let judgement = judge(history, Limits::default()).expect("the record makes sense");
    println!("{judgement}");
    judgement
}

fn assert_linearizable(history: &History) {
    let judgement = judged(history);
    assert!(judgement.is_proven(), "the history: {}", kept(history).display());
    // The other checker, on each key that no transaction joins with others.
    let parts = by_key(history);
    assert!(parts.len() > 10, "{} keys", parts.len());
    for (key, part) in parts {
        assert!(
            other::is_linearizable(&part),
            "{key}; the history: {}",
            kept(history).display()
        );
    }
    let counts = judgement.counts;
    assert!(counts.ok > 200 && counts.seen > 100, "hardly anything happened: {counts:?}");
}

/// What happened to each key that is never part of a transaction.
fn by_key(history: &History) -> BTreeMap<String, History> {
    let mut joined = BTreeSet::new();
    let mut parts: BTreeMap<String, History> = BTreeMap::new();
    let mut doing: BTreeMap<u32, String> = BTreeMap::new();
    for event in &history.events {
        if let What::Invoke { op, .. } = &event.what {
            match op.keys().as_slice() {
                [key] if !matches!(op, Op::Txn { .. }) => doing.insert(event.process, (*key).to_owned()),
                keys => {
                    joined.extend(keys.iter().map(|key| (*key).to_owned()));
                    doing.remove(&event.process)
                }
            };
        }
        let is_operation = !matches!(event.what, What::Watch { .. } | What::Note { .. });
        if is_operation && let Some(key) = doing.get(&event.process) {
            let part = parts.entry(key.clone());
            let part = part.or_insert_with(|| History::new(history.about.seed, key));
            part.events.push(event.clone());
        }
    }
    parts.retain(|key, _| !joined.contains(key));
    parts
}

fn kept(history: &History) -> PathBuf {
    let path = std::env::temp_dir().join(format!("elasticore-history-{:x}.ndjson", history.about.seed));
    history.save(&path).expect("the temporary directory can be written");
    path
}
