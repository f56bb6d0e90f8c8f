//! Reading one key, and listings.

use bytes::Bytes;

use super::{Store, commit, get, keys, list, put, revision};
use crate::types::{Consistency, Op, Range};

/// A key that was never written is none, not an error.
pub async fn absent_key_is_none(store: Store, prefix: String) {
    assert_eq!(get(&store, format!("{prefix}absent")).await, None);
    assert!(keys(&store, Range::prefix(prefix)).await.is_empty());
}

/// All fields of a fresh key.
pub async fn get_gives_what_was_put(store: Store, prefix: String) {
    let key = format!("{prefix}key");
    let value = Bytes::from_static(b"\0\xff any bytes");
    let response = commit(&store, vec![put(&key, value.clone())]).await;
    let kv = get(&store, &key).await.expect("it was put");
    assert_eq!((kv.key, kv.value, kv.lease), (key, value, None));
    let at = response.revision;
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (at, at, 1));
}

/// Empty is not absent.
pub async fn empty_value_is_a_value(store: Store, prefix: String) {
    commit(&store, vec![put(format!("{prefix}empty"), Bytes::new())]).await;
    let kv = get(&store, format!("{prefix}empty")).await.expect("it was put");
    assert!(kv.value.is_empty());
}

/// The size the store is made for, there and back.
pub async fn value_of_a_mebibyte_survives(store: Store, prefix: String) {
    let value: Bytes = (0..1_u32 << 20)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    for name in ["one", "two", "three", "four", "five", "six"] {
        commit(&store, vec![put(format!("{prefix}{name}"), value.clone())]).await;
    }
    assert_eq!(get(&store, format!("{prefix}one")).await.expect("it was put").value, value);
    let all = list(&store, Range::prefix(prefix)).await;
    assert_eq!(all.items.len(), 6);
    assert!(all.items.iter().all(|kv| kv.value == value));
}

/// Order is that of the bytes, whatever the writing order.
pub async fn range_is_in_byte_order(store: Store, prefix: String) {
    let mut names = ["b", "a", "a/b", "a0", "a\0", "B", "ä", "日本", "~", "aa", " "].map(|name| format!("{prefix}{name}"));
    for name in &names {
        commit(&store, vec![put(name, "")]).await;
    }
    names.sort();
    assert_eq!(keys(&store, Range::prefix(prefix)).await, names);
}

/// Pages join to the whole, and only the last one says that nothing is left.
pub async fn range_pages_by_limit_and_after(store: Store, prefix: String) {
    let names: Vec<_> = (0..25).map(|i| format!("{prefix}{i:02}")).collect();
    commit(&store, names.iter().map(|name| put(name, "")).collect()).await;
    for limit in [1, 7, 24, 25, 26, 0] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let prefix = prefix.clone();
            let page = list(&store, Range { prefix, limit, after }).await;
            assert!(limit == 0 || page.items.len() <= limit);
            seen.extend(page.items.into_iter().map(|kv| kv.key));
            after = seen.last().cloned();
            if !page.more {
                break;
            }
            assert_ne!(limit, 0, "without a limit nothing is left");
        }
        assert_eq!(seen, names, "in pages of {limit}");
    }
}

/// `after` bounds the listing only where it lies inside it; it need not exist.
pub async fn range_after_a_key_outside_the_prefix(store: Store, prefix: String) {
    let names = ["b", "d"].map(|name| format!("{prefix}in/{name}"));
    commit(&store, names.iter().map(|name| put(name, "")).collect()).await;
    let after = |after: String| Range {
        prefix: format!("{prefix}in/"),
        limit: 0,
        after: Some(after),
    };
    assert_eq!(keys(&store, after(format!("{prefix}a"))).await, names, "before all");
    assert_eq!(keys(&store, after(format!("{prefix}in/c"))).await, names[1..], "between");
    assert!(keys(&store, after(format!("{prefix}in/d"))).await.is_empty(), "the last one");
    let beyond = list(&store, after(format!("{prefix}z"))).await;
    assert!(beyond.items.is_empty() && !beyond.more, "behind all");
    assert!(beyond.revision > 0);
}

/// Characters that mean something elsewhere mean themselves here.
pub async fn prefix_is_no_pattern(store: Store, prefix: String) {
    let odd = [
        "%",
        "*",
        "_",
        "\\",
        "'",
        "\"",
        "\n",
        "\0",
        "?",
        "[a]",
        "../",
        "\u{7f}",
        "é",
        "\u{10ffff}",
        "a b",
    ];
    let names = |odd: &str| [format!("{prefix}{odd}"), format!("{prefix}{odd}/x")];
    for odd in odd {
        commit(&store, names(odd).into_iter().map(|name| put(name, "")).collect()).await;
    }
    commit(&store, vec![put(format!("{prefix}plain"), "")]).await;
    for odd in odd {
        assert_eq!(
            keys(&store, Range::prefix(format!("{prefix}{odd}"))).await,
            names(odd),
            "{odd:?}"
        );
        assert!(get(&store, format!("{prefix}{odd}")).await.is_some(), "{odd:?}");
        let prefix = format!("{prefix}{odd}");
        let removed = commit(&store, vec![Op::DeletePrefix { prefix }]).await;
        assert_eq!(removed.results, [crate::OpResult::Deleted(2)], "{odd:?}");
    }
    assert_eq!(keys(&store, Range::prefix(prefix.as_str())).await, [format!("{prefix}plain")]);
}

/// The empty prefix is the prefix of every key.
pub async fn empty_prefix_is_everything(store: Store, prefix: String) {
    commit(&store, vec![put(format!("{prefix}key"), "")]).await;
    let all = keys(&store, Range::default()).await;
    assert!(all.contains(&format!("{prefix}key")));
    assert!(all.is_sorted());
}

/// A watch from a listing's revision + 1 needs that revision to be right.
pub async fn range_carries_the_revision_of_the_store(store: Store, prefix: String) {
    let written = commit(&store, vec![put(format!("{prefix}key"), "")]).await.revision;
    assert!(list(&store, Range::prefix(format!("{prefix}key"))).await.revision >= written);
    assert!(list(&store, Range::prefix(format!("{prefix}absent"))).await.revision >= written);
    assert!(revision(&store).await >= written);
}

/// A stale read may lag, not for ever, and takes no wrong value.
pub async fn stale_read_catches_up(store: Store, prefix: String) {
    let key = format!("{prefix}key");
    commit(&store, vec![put(&key, "new")]).await;
    let read = async {
        loop {
            match store.get(&key, Consistency::Stale).await.expect("a stale read answers") {
                Some(kv) => return kv,
                None => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        }
    };
    let kv = tokio::time::timeout(std::time::Duration::from_secs(10), read)
        .await
        .expect("it catches up");
    assert_eq!(kv.value, "new");
    let listed = store
        .range(Range::prefix(prefix), Consistency::Stale)
        .await
        .expect("a stale read answers");
    assert_eq!(listed.items, [kv]);
}
