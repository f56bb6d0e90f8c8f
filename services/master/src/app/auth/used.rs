//! When keys were used last: written behind, at most once a minute for a key, and never in anybody's way.

use std::sync::Arc;
use std::time::Duration;

use control::{Compare, ControlStore, Op, Txn};
use futures::StreamExt;
use lifecycle::CancellationToken;

use super::{Key, Keyring, now_ms, records};

/// Time between two rounds.
const ROUND: Duration = Duration::from_secs(10);
/// Least time between two writes about one key.
const LEAST_STEP_MS: u64 = 60_000;
/// Keys that are written about in one round, and at once.
const MOST: usize = 500;
const AT_ONCE: usize = 16;

impl Keyring {
    /// Writes until `stop`.
    pub async fn write_uses(&self, store: &Arc<dyn ControlStore>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(ROUND) => self.write_round(&**store).await,
                () = stop.cancelled() => return,
            }
        }
    }

    /// Writes what is due. What fails is due again in the next round.
    async fn write_round(&self, store: &dyn ControlStore) {
        let due = self.all().into_iter().filter(|key| is_due(key, now_ms())).take(MOST);
        futures::stream::iter(due)
            .for_each_concurrent(AT_ONCE, |key| async move { write(store, &key).await })
            .await;
    }
}

/// Used since it was last written, and never yet written or a minute ago.
fn is_due(key: &Key, now_ms: u64) -> bool {
    let (used, stored) = (key.used_here_ms(), key.stored_used_ms());
    used > stored && now_ms.saturating_sub(stored) >= LEAST_STEP_MS
}

async fn write(store: &dyn ControlStore, key: &Key) {
    let (id, used) = (&key.record().id, key.used_here_ms());
    let txn = Txn {
        // A key whose record is gone leaves nothing behind.
        compares: vec![Compare::Exists(records::record_key(id))],
        then: vec![Op::Put {
            key: records::used_key(id),
            value: used.to_string().into_bytes().into(),
            lease: None,
        }],
        otherwise: Vec::new(),
    };
    match store.txn(txn).await {
        Ok(_) => key.used_is_stored(used),
        Err(error) => tracing::debug!(id, %error, "when a key was used last is not written yet"),
    }
}
