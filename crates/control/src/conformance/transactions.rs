//! The only write: compares, steps, revisions, refusals.

use bytes::Bytes;

use super::{Store, assert_invalid, attempt, commit, commit_if, delete, get, keys, list, put, revision};
use crate::types::{Compare, Op, OpResult, Range, Txn};

/// Each kind of compare, holding and not.
pub async fn branch_follows_the_compares(store: Store, prefix: String) {
    let (key, absent) = (format!("{prefix}key"), format!("{prefix}absent"));
    let created = commit(&store, vec![put(&key, "one")]).await.revision;
    let modified = commit(&store, vec![put(&key, "two")]).await.revision;
    for (compare, holds) in [
        (Compare::Exists(key.clone()), true),
        (Compare::Exists(absent.clone()), false),
        (Compare::Absent(absent), true),
        (Compare::Absent(key.clone()), false),
        (Compare::CreateRevision(key.clone(), created), true),
        (Compare::CreateRevision(key.clone(), modified), false),
        (Compare::ModRevision(key.clone(), modified), true),
        (Compare::ModRevision(key.clone(), created), false),
        (Compare::Value(key.clone(), "two".into()), true),
        (Compare::Value(key.clone(), "one".into()), false),
    ] {
        let (then, otherwise) = (format!("{prefix}then"), format!("{prefix}otherwise"));
        let response = store
            .txn(Txn {
                compares: vec![compare.clone()],
                then: vec![put(&then, "")],
                otherwise: vec![put(&otherwise, ""), Op::Get { key: key.clone() }],
            })
            .await
            .expect("the transaction is fine");
        assert_eq!(response.succeeded, holds, "{compare:?}");
        assert_eq!(response.results.len(), if holds { 1 } else { 2 }, "{compare:?}");
        assert_eq!(get(&store, &then).await.is_some(), holds, "{compare:?}");
        assert_eq!(get(&store, &otherwise).await.is_some(), !holds, "{compare:?}");
        commit(&store, vec![delete(then), delete(otherwise)]).await;
    }
}

/// One false compare among true ones decides.
pub async fn every_compare_must_hold(store: Store, prefix: String) {
    let names: Vec<_> = (0..5).map(|i| format!("{prefix}{i}")).collect();
    commit(&store, names.iter().map(|name| put(name, "")).collect()).await;
    let mut compares: Vec<_> = names.iter().cloned().map(Compare::Exists).collect();
    assert!(commit_if(&store, compares.clone(), Vec::new()).await.succeeded);
    compares.insert(2, Compare::Exists(format!("{prefix}absent")));
    assert!(!commit_if(&store, compares, Vec::new()).await.succeeded);
    assert!(commit_if(&store, Vec::new(), Vec::new()).await.succeeded, "none is all");
}

/// As in etcd: an absent key has revision 0, and no value, not even the empty one.
pub async fn compare_with_an_absent_key(store: Store, prefix: String) {
    let absent = format!("{prefix}absent");
    for (compare, holds) in [
        (Compare::CreateRevision(absent.clone(), 0), true),
        (Compare::CreateRevision(absent.clone(), 1), false),
        (Compare::ModRevision(absent.clone(), 0), true),
        (Compare::Value(absent.clone(), Bytes::new()), false),
    ] {
        let response = commit_if(&store, vec![compare.clone()], Vec::new()).await;
        assert_eq!(response.succeeded, holds, "{compare:?}");
    }
}

/// Several writes share one revision, one above the last.
pub async fn all_steps_are_one_revision(store: Store, prefix: String) {
    let before = revision(&store).await;
    let names = ["a", "b", "c"].map(|name| format!("{prefix}{name}"));
    let response = commit(&store, names.iter().map(|name| put(name, "")).collect()).await;
    assert!(response.revision > before);
    assert_eq!(response.results, [OpResult::Put, OpResult::Put, OpResult::Put]);
    for kv in list(&store, Range::prefix(prefix)).await.items {
        assert_eq!((kv.create_revision, kv.mod_revision), (response.revision, response.revision));
    }
}

/// Version starts at 1, grows with each write, and starts again after a delete.
pub async fn versions_count_writes_since_creation(store: Store, prefix: String) {
    let key = format!("{prefix}key");
    for _ in 0..2 {
        let created = commit(&store, vec![put(&key, "0")]).await.revision;
        for version in 2..=4 {
            let modified = commit(&store, vec![put(&key, version.to_string())]).await.revision;
            let kv = get(&store, &key).await.expect("it was put");
            assert_eq!(
                (kv.create_revision, kv.mod_revision, kv.version),
                (created, modified, version)
            );
        }
        commit(&store, vec![delete(&key)]).await;
        assert_eq!(get(&store, &key).await, None);
    }
}

/// Reading, or deleting what is not there, is no change.
pub async fn without_a_change_the_revision_stays(store: Store, prefix: String) {
    let key = format!("{prefix}key");
    let at = commit(&store, vec![put(&key, "")]).await.revision;
    let nothing = vec![
        Op::Get { key: key.clone() },
        Op::Range(Range::prefix(prefix.clone())),
        delete(format!("{prefix}absent")),
        Op::DeletePrefix {
            prefix: format!("{prefix}absent"),
        },
    ];
    let response = commit(&store, nothing).await;
    assert_eq!(response.revision, at);
    assert_eq!(response.results[2..], [OpResult::Deleted(0), OpResult::Deleted(0)]);
    assert_eq!(revision(&store).await, at);
    assert_eq!(
        commit(&store, vec![put(&key, "")]).await.revision,
        at + 1,
        "a change is one step"
    );
}

/// The store does not compare values to spare a write.
pub async fn put_of_the_same_value_is_a_change(store: Store, prefix: String) {
    let key = format!("{prefix}key");
    let first = commit(&store, vec![put(&key, "same")]).await.revision;
    let second = commit(&store, vec![put(&key, "same")]).await.revision;
    assert!(second > first);
    assert_eq!(get(&store, &key).await.expect("it was put").mod_revision, second);
}

/// Deletes count what they removed.
pub async fn delete_says_how_many(store: Store, prefix: String) {
    let names = ["d/1", "d/2", "d/3", "e"].map(|name| format!("{prefix}{name}"));
    commit(&store, names.iter().map(|name| put(name, "")).collect()).await;
    let prefixed = Op::DeletePrefix {
        prefix: format!("{prefix}d/"),
    };
    let response = commit(&store, vec![prefixed, delete(&names[3]), delete(&names[3])]).await;
    assert_eq!(
        response.results,
        [OpResult::Deleted(3), OpResult::Deleted(1), OpResult::Deleted(0)]
    );
    assert!(keys(&store, Range::prefix(prefix)).await.is_empty());
}

/// What merely sorts beside the prefix stays.
pub async fn delete_prefix_spares_its_neighbours(store: Store, prefix: String) {
    let names = ["a", "a/", "a/1", "a/\u{10ffff}", "a0", "b"].map(|name| format!("{prefix}{name}"));
    commit(&store, names.iter().map(|name| put(name, "")).collect()).await;
    let doomed = format!("{prefix}a/");
    commit(&store, vec![Op::DeletePrefix { prefix: doomed }]).await;
    let left = ["a", "a0", "b"].map(|name| format!("{prefix}{name}"));
    assert_eq!(keys(&store, Range::prefix(prefix)).await, left);
}

/// A transaction that writes a key twice is refused whole; the same key in both branches is fine.
pub async fn key_written_twice_is_invalid(store: Store, prefix: String) {
    let (key, other) = (format!("{prefix}key"), format!("{prefix}other"));
    let clashes = [put(&key, "2"), delete(&key), Op::DeletePrefix { prefix: prefix.clone() }];
    for clash in clashes {
        let what = format!("{clash:?}");
        let then = vec![put(&other, ""), put(&key, "1"), clash];
        assert_invalid(attempt(&store, Vec::new(), then.clone()).await, &what);
        let hidden = Txn {
            otherwise: then,
            ..Txn::default()
        };
        assert_invalid(store.txn(hidden).await, "in the branch not taken");
    }
    assert!(keys(&store, Range::prefix(prefix)).await.is_empty(), "nothing was written");
    let both = Txn {
        then: vec![put(&key, "then")],
        otherwise: vec![put(&key, "otherwise")],
        ..Txn::default()
    };
    assert!(store.txn(both).await.expect("one branch is taken").succeeded);
}

/// There is no key without a name.
pub async fn empty_key_is_invalid(store: Store, prefix: String) {
    let steps = [put("", ""), delete(""), Op::Get { key: String::new() }];
    for step in steps {
        let what = format!("{step:?}");
        let then = vec![put(format!("{prefix}key"), ""), step];
        assert_invalid(attempt(&store, Vec::new(), then).await, &what);
    }
    assert!(keys(&store, Range::prefix(prefix)).await.is_empty());
}

/// Over the size limit the caller is told so, not that the store is down; the store goes on.
pub async fn too_large_is_invalid(store: Store, prefix: String) {
    let key = format!("{prefix}key");
    for mebibytes in [2, 5] {
        let value = Bytes::from(vec![7; mebibytes << 20]);
        assert_invalid(attempt(&store, Vec::new(), vec![put(&key, value)]).await, "too large");
    }
    assert_eq!(get(&store, &key).await, None);
    commit(&store, vec![put(&key, "small")]).await;
}

/// Steps run in order, each on the outcome of those before it.
pub async fn reads_see_the_writes_before_them(store: Store, prefix: String) {
    let (key, old) = (format!("{prefix}key"), format!("{prefix}old"));
    commit(&store, vec![put(&old, "old")]).await;
    let read = || Op::Get { key: key.clone() };
    let listing = || Op::Range(Range::prefix(prefix.clone()));
    let response = commit(&store, vec![read(), put(&key, "new"), read(), delete(&old), listing()]).await;
    let [
        OpResult::Range(before),
        OpResult::Put,
        OpResult::Range(after),
        OpResult::Deleted(1),
        OpResult::Range(all),
    ] = &response.results[..]
    else {
        panic!("results match the steps: {response:?}");
    };
    assert!(before.items.is_empty());
    assert_eq!(after.items[0].value, "new");
    assert_eq!(after.items[0].mod_revision, response.revision);
    assert_eq!(all.items, after.items);
    assert_eq!(after.revision, response.revision);
}

/// The number of steps callers may count on.
pub async fn hundred_steps_fit(store: Store, prefix: String) {
    let names: Vec<_> = (0..100).map(|i| format!("{prefix}{i:03}")).collect();
    let compares: Vec<_> = names.iter().cloned().map(Compare::Absent).collect();
    let response = commit_if(&store, compares.clone(), names.iter().map(|name| put(name, "")).collect()).await;
    assert!(response.succeeded && response.results.len() == 100);
    assert!(!commit_if(&store, compares, Vec::new()).await.succeeded);
    assert_eq!(keys(&store, Range::prefix(prefix)).await, names);
}

/// The convenience does what the transaction does.
pub async fn put_helper_gives_the_revision(store: Store, prefix: String) {
    let key = format!("{prefix}key");
    let at = store.put(&key, "value".into(), None).await.expect("the store answers");
    let kv = get(&store, &key).await.expect("it was put");
    assert_eq!((kv.value.as_ref(), kv.mod_revision), (b"value".as_ref(), at));
}
