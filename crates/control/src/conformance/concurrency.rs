//! Many clients at once.

use std::collections::HashSet;

use futures::future::join_all;

use super::{Store, commit, commit_if, get, list, put};
use crate::types::{Compare, Consistency, KeyValue, Range};

fn number(kv: Option<&KeyValue>) -> i64 {
    kv.map_or(0, |kv| {
        std::str::from_utf8(&kv.value).expect("text").parse().expect("a number")
    })
}

/// Adds to numbers in one transaction, as often as it takes.
async fn add(store: &Store, changes: &[(&str, i64)]) {
    loop {
        let (mut compares, mut then) = (Vec::new(), Vec::new());
        for (key, change) in changes {
            let old = get(store, key).await;
            compares.push(Compare::ModRevision(
                (*key).to_owned(),
                old.as_ref().map_or(0, |kv| kv.mod_revision),
            ));
            then.push(put(*key, (number(old.as_ref()) + change).to_string()));
        }
        if commit_if(store, compares, then).await.succeeded {
            return;
        }
    }
}

/// Compare-and-swap by many: the sum is that of all.
pub async fn increments_are_not_lost(store: Store, prefix: String) {
    const CLIENTS: usize = 8;
    const INCREMENTS: usize = 12;
    let key = format!("{prefix}counter");
    let clients = (0..CLIENTS).map(|_| {
        let (store, key) = (store.clone(), key.clone());
        tokio::spawn(async move {
            for _ in 0..INCREMENTS {
                add(&store, &[(&key, 1)]).await;
            }
        })
    });
    for client in join_all(clients).await {
        client.expect("no panic");
    }
    let counter = get(&store, &key).await.expect("it was put");
    assert_eq!(number(Some(&counter)), (CLIENTS * INCREMENTS) as i64);
    assert_eq!(counter.version, (CLIENTS * INCREMENTS) as u64);
}

/// Of many that create a key if it is absent, one does; this is what leadership rests on.
pub async fn one_creator_wins(store: Store, prefix: String) {
    for round in 0..5 {
        let key = format!("{prefix}{round}");
        let clients = (0..16).map(|client| {
            let (store, key) = (store.clone(), key.clone());
            tokio::spawn(async move {
                let absent = vec![Compare::Absent(key.clone())];
                (
                    client,
                    commit_if(&store, absent, vec![put(key, client.to_string())]).await.succeeded,
                )
            })
        });
        let outcomes: Vec<_> = join_all(clients).await.into_iter().map(|o| o.expect("no panic")).collect();
        let winners: Vec<_> = outcomes.iter().filter(|(_, won)| *won).collect();
        assert_eq!(winners.len(), 1);
        let holder = get(&store, &key).await.expect("it was put").value;
        assert_eq!(holder, winners[0].0.to_string());
    }
}

/// Two keys that always change together are never read apart.
pub async fn readers_see_whole_transactions(store: Store, prefix: String) {
    let (a, b) = (format!("{prefix}a"), format!("{prefix}b"));
    commit(&store, vec![put(&a, "0"), put(&b, "0")]).await;
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for i in 1..=60 {
                commit(&store, vec![put(&a, i.to_string()), put(&b, i.to_string())]).await;
            }
        })
    };
    let mut last = 0;
    while !writer.is_finished() {
        for consistency in [Consistency::Linearizable, Consistency::Stale] {
            let both = store
                .range(Range::prefix(prefix.as_str()), consistency)
                .await
                .expect("the store answers");
            if consistency == Consistency::Stale && both.items.is_empty() {
                continue;
            }
            assert_eq!(both.items.len(), 2);
            assert_eq!(both.items[0].value, both.items[1].value);
            assert_eq!(both.items[0].mod_revision, both.items[1].mod_revision);
            if consistency == Consistency::Linearizable {
                assert!(both.revision >= last, "time runs forward");
                last = both.revision;
            }
        }
    }
    writer.await.expect("no panic");
}

/// Money moves between accounts; none appears and none is lost.
pub async fn transfers_keep_the_sum(store: Store, prefix: String) {
    let accounts: Vec<_> = (0..4).map(|i| format!("{prefix}{i}")).collect();
    commit(&store, accounts.iter().map(|account| put(account, "100")).collect()).await;
    let clients = (0..6).map(|client: usize| {
        let (store, accounts) = (store.clone(), accounts.clone());
        tokio::spawn(async move {
            for i in 0..8 {
                let (from, to) = ((client + i) % 4, (client * 3 + i * 2 + 1) % 4);
                if from != to {
                    add(&store, &[(&accounts[from], -1), (&accounts[to], 1)]).await;
                }
            }
        })
    });
    for client in join_all(clients).await {
        client.expect("no panic");
    }
    let all = list(&store, Range::prefix(prefix)).await.items;
    assert_eq!(all.iter().map(|kv| number(Some(kv))).sum::<i64>(), 400);
}

/// Writes are in one order, and each knows its place.
pub async fn every_write_has_a_revision_of_its_own(store: Store, prefix: String) {
    let writes = (0..100).map(|i| {
        let (store, key) = (store.clone(), format!("{prefix}{i}"));
        tokio::spawn(async move { (commit(&store, vec![put(&key, "")]).await.revision, key) })
    });
    let mut seen = HashSet::new();
    for write in join_all(writes).await {
        let (revision, key) = write.expect("no panic");
        assert!(seen.insert(revision), "revision {revision} twice");
        assert_eq!(get(&store, &key).await.expect("it was put").mod_revision, revision);
    }
}

/// A linearizable read that begins after an acknowledgement sees the write.
pub async fn acknowledged_write_is_read_at_once(store: Store, prefix: String) {
    let clients = (0..8).map(|client| {
        let (store, key) = (store.clone(), format!("{prefix}{client}"));
        tokio::spawn(async move {
            for i in 0..25 {
                let at = commit(&store, vec![put(&key, i.to_string())]).await.revision;
                let read = get(&store, &key).await.expect("it was put");
                assert_eq!((read.value, read.mod_revision), (i.to_string().into(), at));
            }
        })
    });
    for client in join_all(clients).await {
        client.expect("no panic");
    }
}
