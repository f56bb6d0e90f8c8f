//! The keys of `/kv`, as tables read them.

use std::sync::Arc;

use async_trait::async_trait;
use control::{Consistency, ControlStore, Range, user_prefix};
use query::{KvRow, KvSnapshot, KvSource};

/// Keys asked for at once. One answer is one revision, so there is only one.
const MOST_KEYS: usize = 10_000;

/// The control store's users' keys.
#[derive(Debug)]
pub(crate) struct Keys {
    store: Arc<dyn ControlStore>,
}

impl Keys {
    pub(crate) const fn new(store: Arc<dyn ControlStore>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl KvSource for Keys {
    async fn read(&self, namespace: &str, prefix: &str, max_bytes: usize) -> Result<KvSnapshot, String> {
        let own = user_prefix(namespace);
        let range = Range {
            limit: MOST_KEYS,
            ..Range::prefix(format!("{own}{prefix}"))
        };
        let found = self.store.range(range, Consistency::Linearizable).await;
        let found = found.map_err(|error| error.to_string())?;
        let mut left = max_bytes;
        let mut snapshot = KvSnapshot {
            rows: Vec::with_capacity(found.items.len()),
            more: found.more,
        };
        for item in found.items {
            let key = item.key.strip_prefix(&*own).unwrap_or(&item.key).to_owned();
            let Some(rest) = left.checked_sub(key.len() + item.value.len()) else {
                snapshot.more = true;
                break;
            };
            left = rest;
            snapshot.rows.push(KvRow {
                key,
                value: item.value,
                revision: item.mod_revision,
            });
        }
        Ok(snapshot)
    }
}
