//! Leases: what is bound to one vanishes with it, and with nothing else.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{Store, Watcher, attempt, commit, delete, get, keys, put, put_leased, revision};
use crate::types::{Event, LeaseId, Range};
use crate::{Error, Lease};

/// The shortest ttl asked for here; an engine may grant more.
const SHORT: Duration = Duration::from_secs(1);
/// Long enough never to expire within a check.
const LONG: Duration = Duration::from_secs(120);
/// How late after its ttl a lease may end.
const GRACE: Duration = Duration::from_secs(10);

async fn grant(store: &Store, ttl: Duration) -> Lease {
    store.lease_grant(ttl).await.expect("the store answers")
}

/// Never less than asked for, never the same lease twice.
pub async fn grant_gives_at_least_what_was_asked(store: Store, _prefix: String) {
    let mut ids = std::collections::HashSet::new();
    for ttl in [SHORT, Duration::from_millis(10_500), LONG] {
        let lease = grant(&store, ttl).await;
        assert!(lease.ttl >= ttl, "{ttl:?} was asked for, {:?} granted", lease.ttl);
        assert!(ids.insert(lease.id));
        assert_eq!(store.keep_alive(lease.id).await, Ok(lease.ttl));
        assert_eq!(store.revoke(lease.id).await, Ok(()));
    }
}

/// Not before the ttl, not long after it, and watchers see it.
pub async fn key_vanishes_when_its_lease_expires(store: Store, prefix: String) {
    let granted = Instant::now();
    let lease = grant(&store, SHORT).await;
    let names = ["a", "b"].map(|name| format!("{prefix}{name}"));
    let put_at = commit(&store, names.iter().map(|name| put_leased(name, lease.id)).collect())
        .await
        .revision;
    commit(&store, vec![put(format!("{prefix}free"), "")]).await;
    assert_eq!(get(&store, &names[0]).await.expect("it was put").lease, Some(lease.id));

    let mut watch = Watcher::open(&store, &prefix, put_at + 2).await;
    let gone = watch.next_within(lease.ttl + GRACE).await;
    assert!(granted.elapsed() >= lease.ttl, "too early: after {:?}", granted.elapsed());
    let at = gone[0].revision();
    let expected = names.map(|key| Event::Delete { key, revision: at });
    assert_eq!(gone, expected);
    assert_eq!(keys(&store, Range::prefix(prefix.as_str())).await, [format!("{prefix}free")]);
    assert_eq!(store.keep_alive(lease.id).await, Err(Error::LeaseNotFound));
}

/// Kept alive, it outlives its ttl several times; then it ends.
pub async fn key_stays_while_its_lease_is_kept_alive(store: Store, prefix: String) {
    let lease = grant(&store, Duration::from_secs(2)).await;
    let key = format!("{prefix}key");
    let put_at = commit(&store, vec![put_leased(&key, lease.id)]).await.revision;
    let mut watch = Watcher::open(&store, &prefix, put_at + 1).await;
    let until = Instant::now() + lease.ttl * 3;
    let mut last = Instant::now();
    while Instant::now() < until {
        last = Instant::now();
        assert_eq!(store.keep_alive(lease.id).await, Ok(lease.ttl));
        sleep(lease.ttl / 4).await;
    }
    assert!(get(&store, &key).await.is_some());
    let gone = watch.next_within(lease.ttl + GRACE).await;
    assert!(
        matches!(&gone[..], [Event::Delete { key: gone, .. }] if *gone == key),
        "{gone:?}"
    );
    assert!(
        last.elapsed() >= lease.ttl,
        "too early: {:?} after the last keep-alive",
        last.elapsed()
    );
}

/// Revocation is one change, seen as such.
pub async fn revoke_removes_all_keys_at_one_revision(store: Store, prefix: String) {
    let lease = grant(&store, LONG).await;
    let mut names: Vec<_> = (0..20).map(|i| format!("{prefix}{i:02}")).collect();
    for name in &names {
        commit(&store, vec![put_leased(name, lease.id)]).await;
    }
    let before = revision(&store).await;
    let mut watch = Watcher::open(&store, &prefix, 0).await;
    store.revoke(lease.id).await.expect("the lease is there");
    assert!(keys(&store, Range::prefix(prefix.as_str())).await.is_empty());
    let gone = watch.next().await;
    assert!(gone.iter().all(|event| event.revision() == gone[0].revision()));
    assert!(gone[0].revision() > before);
    names.sort();
    let mut seen: Vec<_> = gone.iter().map(|event| event.key().to_owned()).collect();
    seen.sort();
    assert_eq!(seen, names);
}

/// Nothing changed, so no revision.
pub async fn revoke_without_keys_keeps_the_revision(store: Store, prefix: String) {
    let at = commit(&store, vec![put(format!("{prefix}key"), "")]).await.revision;
    let lease = grant(&store, LONG).await;
    store.revoke(lease.id).await.expect("the lease is there");
    assert_eq!(revision(&store).await, at);
}

/// Whatever is done with a lease that ended, or never was, says so.
pub async fn ended_lease_is_not_found(store: Store, prefix: String) {
    let ended = grant(&store, LONG).await.id;
    store.revoke(ended).await.expect("the lease is there");
    for lease in [ended, LeaseId(i64::MAX - 7)] {
        assert_eq!(store.keep_alive(lease).await, Err(Error::LeaseNotFound));
        assert_eq!(store.revoke(lease).await, Err(Error::LeaseNotFound));
        let refused = store.put(&format!("{prefix}key"), "".into(), Some(lease)).await;
        assert_eq!(refused, Err(Error::LeaseNotFound));
    }
}

/// The whole transaction is refused, not only the step.
pub async fn put_with_an_unknown_lease_changes_nothing(store: Store, prefix: String) {
    let before = revision(&store).await;
    let steps = vec![
        put(format!("{prefix}first"), ""),
        put_leased(format!("{prefix}second"), LeaseId(i64::MAX - 9)),
    ];
    assert_eq!(attempt(&store, Vec::new(), steps).await, Err(Error::LeaseNotFound));
    assert!(keys(&store, Range::prefix(prefix)).await.is_empty());
    assert_eq!(revision(&store).await, before);
}

/// A write binds the key anew: to its own lease, or to none.
pub async fn key_follows_its_last_lease(store: Store, prefix: String) {
    let (first, second) = (grant(&store, LONG).await.id, grant(&store, LONG).await.id);
    let [moved, freed, kept] = ["moved", "freed", "kept"].map(|name| format!("{prefix}{name}"));
    for name in [&moved, &freed, &kept] {
        commit(&store, vec![put_leased(name, first)]).await;
    }
    commit(
        &store,
        vec![put_leased(&moved, second), put(&freed, ""), put_leased(&kept, first)],
    )
    .await;
    assert_eq!(get(&store, &moved).await.expect("it was put").lease, Some(second));
    assert_eq!(get(&store, &freed).await.expect("it was put").lease, None);
    store.revoke(first).await.expect("the lease is there");
    assert_eq!(keys(&store, Range::prefix(prefix.as_str())).await, [freed.clone(), moved]);
    store.revoke(second).await.expect("the lease is there");
    assert_eq!(keys(&store, Range::prefix(prefix.as_str())).await, [freed]);
}

/// A key that was deleted and made again does not die with the lease of its former life.
pub async fn deleted_key_leaves_its_lease(store: Store, prefix: String) {
    let lease = grant(&store, LONG).await.id;
    let key = format!("{prefix}key");
    commit(&store, vec![put_leased(&key, lease)]).await;
    commit(&store, vec![delete(&key)]).await;
    commit(&store, vec![put(&key, "")]).await;
    store.revoke(lease).await.expect("the lease is there");
    assert!(get(&store, &key).await.is_some());
}
