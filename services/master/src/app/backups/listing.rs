//! What backups there are, by id.

use std::collections::BTreeMap;
use std::time::Duration;

use api::NodeId;
use api::operations::{BackupListing, BackupPart, BackupSet, Unanswered};

use super::{Backups, Shown};

/// Longest wait for one node: it looks into every file.
const DEADLINE: Duration = Duration::from_secs(5);

impl Backups {
    /// The backups of all auxiliaries, in the ring or not, the newest first.
    pub async fn list(&self) -> BackupListing {
        let (found, unanswered) = self.found().await;
        let mut sets: BTreeMap<String, BackupSet> = BTreeMap::new();
        for (node, shown) in found {
            let set = sets.entry(shown.id.clone()).or_insert_with(|| BackupSet {
                id: shown.id.clone(),
                made_at_ms: None,
                entries: 0,
                bytes: 0,
                nodes: Vec::new(),
            });
            set.made_at_ms = match (set.made_at_ms, shown.made_at_ms) {
                (Some(first), Some(other)) => Some(first.min(other)),
                (first, other) => first.or(other),
            };
            set.entries += shown.entries;
            set.bytes += shown.bytes;
            set.nodes.push(BackupPart {
                node,
                entries: shown.entries,
                bytes: shown.bytes,
                error: shown.damaged,
            });
        }
        let mut items: Vec<BackupSet> = sets.into_values().collect();
        items.sort_by(|a, b| (b.made_at_ms, &b.id).cmp(&(a.made_at_ms, &a.id)));
        BackupListing { items, unanswered }
    }

    /// Every backup with the node that has it, and who did not say.
    pub(super) async fn found(&self) -> (Vec<(NodeId, Shown)>, Vec<Unanswered>) {
        let targets = self.auxiliaries.registered();
        let replies = self.auxiliaries.ask::<Vec<Shown>>(&targets, DEADLINE, |peers, address| {
            peers.get(address, "/internal/v1/cache/backups")
        });
        let (mut found, mut unanswered) = (Vec::new(), Vec::new());
        for reply in replies.await {
            unanswered.extend(reply.unanswered());
            let backups = reply.answer.into_iter().flatten();
            found.extend(backups.map(|shown| (reply.node.clone(), shown)));
        }
        (found, unanswered)
    }
}
