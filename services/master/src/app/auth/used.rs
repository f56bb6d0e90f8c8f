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

#[cfg(test)]
mod tests {
    use access::{Caller, Grant};
    use control::Consistency;
    use control::raft::{RaftOptions, RaftStore};

    use super::super::{ApiKeys, Identities, Wanted};
    use super::*;

    #[tokio::test]
    async fn uses_are_written_behind_and_leave_nothing_of_keys_that_are_gone() {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn ControlStore> = RaftStore::open(RaftOptions::new(directory.path(), "m1")).await.unwrap();
        let keyring = Arc::new(Keyring::new(Duration::from_secs(60)));
        let keys = ApiKeys::new(Arc::clone(&store), Arc::clone(&keyring));
        let wanted = Wanted {
            name: "ci".to_owned(),
            grants: vec![Grant::admin()],
            ttl: None,
        };
        let (record, text) = keys.create(wanted, &Caller::root()).await.unwrap();
        let identities = Identities::on("", Arc::clone(&keyring), None);
        let written = async || {
            store
                .get(&records::used_key(&record.id), Consistency::Linearizable)
                .await
                .unwrap()
        };
        keyring.write_round(&*store).await;
        assert!(written().await.is_none(), "it was never used");
        identities.identify(Some(&text)).unwrap();
        assert!(written().await.is_none(), "nothing is written on the way of a request");
        keyring.write_round(&*store).await;
        let first = written().await.unwrap();
        assert_eq!(
            Some(records::read_used(&first.value)),
            keyring.get(&record.id).unwrap().used_at_ms()
        );
        keyring.write_round(&*store).await;
        assert_eq!(
            written().await.unwrap().mod_revision,
            first.mod_revision,
            "not again within a minute"
        );
        // Another master has not heard yet that the record is gone.
        let gone = [records::record_key(&record.id), records::used_key(&record.id)].map(|key| Op::Delete { key });
        let txn = Txn {
            then: gone.to_vec(),
            ..Txn::default()
        };
        store.txn(txn).await.unwrap();
        write(&*store, &keyring.get(&record.id).unwrap()).await;
        assert!(written().await.is_none(), "it leaves nothing behind");
    }
}
