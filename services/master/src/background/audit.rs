//! Tells the audit log who comes, who goes, and who leads.
//!
//! Every master sees it, and the one that leads writes it down. What happens when a leader dies it can no longer write, so its successor also
//! writes what it saw shortly before it came to lead; some of that may stand in both logs, and none is missing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use cluster::{LeaderState, View};
use lifecycle::CancellationToken;
use telemetry::audit::Entry;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tracing::warn;

use crate::app::audit::{Auditor, Seen};

/// How far back a new leader looks: longer than the lease of the one before, and an election.
const BEFORE: Duration = Duration::from_secs(30);
/// What it remembers of that time.
const REMEMBERED: usize = 1024;
/// Time between two sums of denials that were not written one by one.
const SUMS: Duration = Duration::from_secs(60);

impl Auditor {
    /// Works until `stop`.
    pub(crate) async fn run(&self, view: &View, mut leading: watch::Receiver<LeaderState>, stop: CancellationToken) {
        // Each of them: a node that comes back at once was away all the same.
        let (first, mut later) = view.follow_all();
        let (mut before, mut recent) = (Seen::of(&first), VecDeque::new());
        let mut term = None;
        let mut sums = tokio::time::interval(SUMS);
        loop {
            let token = leading.borrow_and_update().token().cloned();
            if token.is_some() {
                recent.drain(..).for_each(|(_, entry)| self.record(entry));
                if token != term {
                    let previous = before.as_ref().and_then(Seen::leader);
                    self.record(self.leads(previous));
                }
            }
            term = token;
            tokio::select! {
                snapshot = later.recv() => match snapshot {
                    Ok(snapshot) => {
                        let after = Seen::of(&snapshot);
                        if let (Some(before), Some(after)) = (&before, &after) {
                            remember(&mut recent, after.since(before));
                        }
                        before = after.or(before);
                    }
                    // What they came to together is told with the next.
                    Err(RecvError::Lagged(missed)) => warn!(missed, "changes of the cluster came faster than they could be written down"),
                    Err(RecvError::Closed) => return,
                },
                changed = leading.changed() => if changed.is_err() { return },
                _ = sums.tick() => self.sum_up(),
                () = stop.cancelled() => return,
            }
        }
    }
}

fn remember(recent: &mut VecDeque<(Instant, Entry)>, entries: Vec<Entry>) {
    let now = Instant::now();
    for mut entry in entries {
        entry.time.get_or_insert_with(std::time::SystemTime::now);
        recent.push_back((now, entry));
    }
    while recent.front().is_some_and(|(seen, _)| seen.elapsed() > BEFORE) || recent.len() > REMEMBERED {
        recent.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use api::NodeId;
    use api::member::{Member, Role};
    use cluster::Token;
    use control::raft::{RaftOptions, RaftStore};
    use control::{ControlStore, Op, Txn};
    use telemetry::audit::Audit;

    use super::*;

    fn told(path: &Path, event: &str) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.filter(|line| line["event"] == event).collect()
    }

    async fn until(holds: impl Fn() -> bool) {
        let patience = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), patience)
            .await
            .expect("the condition holds in time");
    }

    #[tokio::test]
    async fn changes_that_follow_each_other_at_once_are_told_one_by_one() {
        const LIVES: usize = 20;
        let (directory, registry) = (tempfile::tempdir().unwrap(), telemetry::new_registry());
        let options = RaftOptions::new(directory.path().join("raft"), "m1");
        let store: Arc<dyn ControlStore> = RaftStore::open(options).await.unwrap();
        let path = directory.path().join("audit.log");
        let audit = Audit::open(path.to_str().unwrap(), "master-1", &registry).unwrap();
        let (auditor, stop) = (Arc::new(Auditor::new(audit, "master-1")), CancellationToken::new());
        let view = Arc::new(View::new(Arc::clone(&store), &registry));
        let token = Token {
            cluster: String::new(),
            revision: 1,
        };
        let (_leads, leading) = watch::channel(LeaderState::Leading(token));
        let running = (Arc::clone(&view), stop.clone());
        tokio::spawn(async move { running.0.run(running.1).await });
        view.synced().await;
        let running = (Arc::clone(&auditor), Arc::clone(&view), stop.clone());
        tokio::spawn(async move { running.0.run(&running.1, leading, running.2).await });
        until(|| !told(&path, "leader.changed").is_empty()).await;

        for life in 0..LIVES {
            let id = NodeId::try_new("brief").unwrap();
            let member = Member::begin(id, Role::Worker, format!("h:{life}"));
            let value = serde_json::to_vec(&member).unwrap();
            store.put("members/worker/brief", value.into(), None).await.unwrap();
            let leaves = Op::Delete {
                key: "members/worker/brief".to_owned(),
            };
            let txn = Txn {
                then: vec![leaves],
                ..Txn::default()
            };
            store.txn(txn).await.unwrap();
        }
        until(|| told(&path, "node.left").len() == LIVES).await;
        let joined = told(&path, "node.joined");
        let addresses: Vec<_> = joined
            .iter()
            .map(|line| line["details"]["address"].as_str().unwrap())
            .collect();
        assert_eq!(addresses, (0..LIVES).map(|life| format!("h:{life}")).collect::<Vec<_>>());
        stop.cancel();
    }
}
