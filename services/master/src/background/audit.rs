//! Tells the audit log who comes, who goes, and who leads.
//!
//! Every master sees it, and the one that leads writes it down. What happens when a leader dies it can no longer write, so its successor also
//! writes what it saw shortly before it came to lead; some of that may stand in both logs, and none is missing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use cluster::{LeaderState, View};
use lifecycle::CancellationToken;
use telemetry::audit::Entry;
use tokio::sync::watch;

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
        let mut snapshots = view.subscribe();
        let (mut before, mut recent): (Option<Seen>, _) = (None, VecDeque::new());
        let mut term = None;
        let mut sums = tokio::time::interval(SUMS);
        loop {
            let token = leading.borrow_and_update().token().cloned();
            let after = Seen::of(&snapshots.borrow_and_update());
            if let (Some(before), Some(after)) = (&before, &after) {
                remember(&mut recent, after.since(before));
            }
            if token.is_some() {
                recent.drain(..).for_each(|(_, entry)| self.record(entry));
                if token != term {
                    let previous = before.as_ref().and_then(Seen::leader);
                    self.record(self.leads(previous));
                }
            }
            (before, term) = (after.or(before), token);
            tokio::select! {
                changed = snapshots.changed() => if changed.is_err() { return },
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
