//! Follows the quotas of namespaces. A quota is for the whole cluster; this node keeps to its part of it, by its part of the keys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::cache::NamespaceQuota;
use cache::owner::Owner;
use cluster::{Update, follow, keys};
use control::{ControlStore, Event, KeyValue};
use lifecycle::CancellationToken;
use parking_lot::Mutex;
use store::cache::QuotaBounds;

/// How often this node's part of the keys is looked at.
const PACE: Duration = Duration::from_secs(5);

/// Follows until `stop`.
pub(crate) async fn run(control: Arc<dyn ControlStore>, owner: Arc<Owner>, stop: CancellationToken) {
    let quotas = Mutex::new(BTreeMap::new());
    let hearing = follow(&control, keys::NAMESPACES, &stop, |update| {
        hear(&mut quotas.lock(), update);
        apply(&owner, &quotas.lock());
    });
    let sharing = async {
        let mut share = owner.share();
        loop {
            tokio::select! {
                () = tokio::time::sleep(PACE) => {}
                () = stop.cancelled() => return,
            }
            if (owner.share() - share).abs() > f64::EPSILON {
                share = owner.share();
                apply(&owner, &quotas.lock());
            }
        }
    };
    tokio::join!(hearing, sharing);
}

type Quotas = BTreeMap<String, NamespaceQuota>;

fn hear(quotas: &mut Quotas, update: Update) {
    match update {
        Update::Listed(entries, _) => *quotas = entries.iter().filter_map(read).collect(),
        Update::Changed(events) => {
            for event in events {
                match event {
                    Event::Put(entry) => quotas.extend(read(&entry)),
                    Event::Delete { key, .. } => drop(quotas.remove(name(&key))),
                }
            }
        }
    }
}

fn read(entry: &KeyValue) -> Option<(String, NamespaceQuota)> {
    let quota = serde_json::from_slice(&entry.value)
        .inspect_err(|error| tracing::error!(key = entry.key, %error, "a quota cannot be read; ignoring it"));
    Some((name(&entry.key).to_owned(), quota.ok()?))
}

fn name(key: &str) -> &str {
    key.strip_prefix(keys::NAMESPACES).unwrap_or(key)
}

fn apply(owner: &Owner, quotas: &Quotas) {
    let share = owner.share();
    let part = |of: Option<u64>| of.map(|whole| (whole as f64 * share).ceil().max(1.0) as usize);
    let bounds = quotas.iter().map(|(name, quota)| {
        let bounds = QuotaBounds {
            entries: part(quota.max_entries),
            bytes: part(quota.max_bytes),
        };
        (Arc::from(name.as_str()), bounds)
    });
    owner.store().set_quotas(bounds);
}
