//! Namespaces: what each may hold, as the control store has it, and what it holds, as the auxiliaries say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::cache::NamespaceQuota;
use api::operations::{NamespaceListing, NamespaceReport};
use cluster::keys;
use control::{Consistency, ControlStore, Error, KeyValue, Op, OpResult, Range, Txn};

use super::auxiliaries::Auxiliaries;

/// Longest wait for what one node says of its namespaces.
const DEADLINE: Duration = Duration::from_millis(500);

/// Quotas and usage.
#[derive(Debug)]
pub struct Namespaces {
    store: Arc<dyn ControlStore>,
    auxiliaries: Auxiliaries,
}

impl Namespaces {
    /// Of this cluster.
    #[must_use]
    pub fn new(store: Arc<dyn ControlStore>, auxiliaries: Auxiliaries) -> Self {
        Self { store, auxiliaries }
    }

    /// Every namespace that has a quota or was used since the auxiliaries started.
    ///
    /// # Errors
    /// When the control store does not answer.
    pub async fn list(&self) -> Result<NamespaceListing, Error> {
        let range = Range::prefix(keys::NAMESPACES);
        let targets = Auxiliaries::in_ring(&self.auxiliaries.routing());
        let used = self
            .auxiliaries
            .ask::<Vec<NamespaceReport>>(&targets, DEADLINE, |peers, address| {
                peers.get(address, "/internal/v1/cache/namespaces")
            });
        let (quotas, replies) = tokio::join!(self.store.range(range, Consistency::Linearizable), used);
        let (mut all, mut unanswered) = (BTreeMap::new(), Vec::new());
        for reply in replies {
            unanswered.extend(reply.unanswered());
            for used in reply.answer.into_iter().flatten() {
                add(report(&mut all, &used.namespace), &used);
            }
        }
        for entry in quotas?.items {
            if let Some(quota) = read(&entry) {
                let report = report(&mut all, name(&entry));
                (report.max_entries, report.max_bytes) = (quota.max_entries, quota.max_bytes);
            }
        }
        Ok(NamespaceListing {
            items: all.into_values().collect(),
            unanswered,
        })
    }

    /// Sets what a namespace may hold; whether it had no quota before.
    ///
    /// # Errors
    /// When the control store does not answer.
    pub async fn set(&self, namespace: &str, quota: NamespaceQuota) -> Result<bool, Error> {
        let (key, value) = (stored(namespace), serde_json::to_vec(&quota).unwrap_or_default());
        let put = Op::Put {
            key: key.clone(),
            value: value.into(),
            lease: None,
        };
        let txn = Txn {
            compares: vec![control::Compare::Absent(key)],
            then: vec![put.clone()],
            otherwise: vec![put],
        };
        Ok(self.store.txn(txn).await?.succeeded)
    }

    /// Takes a namespace's quota away; whether it had one.
    ///
    /// # Errors
    /// When the control store does not answer.
    pub async fn unset(&self, namespace: &str) -> Result<bool, Error> {
        let txn = Txn {
            then: vec![Op::Delete { key: stored(namespace) }],
            ..Txn::default()
        };
        let results = self.store.txn(txn).await?.results;
        Ok(matches!(results.first(), Some(OpResult::Deleted(1..))))
    }
}

fn report<'a>(all: &'a mut BTreeMap<String, NamespaceReport>, namespace: &str) -> &'a mut NamespaceReport {
    all.entry(namespace.to_owned()).or_insert_with(|| NamespaceReport {
        namespace: namespace.to_owned(),
        ..NamespaceReport::default()
    })
}

fn add(sum: &mut NamespaceReport, part: &NamespaceReport) {
    sum.entries += part.entries;
    sum.bytes += part.bytes;
    sum.hits += part.hits;
    sum.misses += part.misses;
    sum.evictions += part.evictions;
}

fn stored(namespace: &str) -> String {
    format!("{}{namespace}", keys::NAMESPACES)
}

fn name(entry: &KeyValue) -> &str {
    entry.key.strip_prefix(keys::NAMESPACES).unwrap_or(&entry.key)
}

fn read(entry: &KeyValue) -> Option<NamespaceQuota> {
    serde_json::from_slice(&entry.value)
        .inspect_err(|error| tracing::error!(key = entry.key, %error, "a quota cannot be read; leaving it out"))
        .ok()
}
