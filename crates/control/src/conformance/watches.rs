//! Watches: ordered, without gaps, whole revisions, only what was asked for.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use tokio::time::timeout;

use super::{Store, Watcher, commit, delete, get, list, put, revision};
use crate::Error;
use crate::types::{Event, Op, Range};

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(Event::key).collect()
}

/// What was there before does not show; what is acknowledged after the call does.
pub async fn from_now_shows_only_what_follows(store: Store, prefix: String) {
    let key = format!("{prefix}key");
    commit(&store, vec![put(&key, "before")]).await;
    let mut watch = Watcher::open(&store, &prefix, 0).await;
    let at = commit(&store, vec![put(&key, "after")]).await.revision;
    let events = watch.next().await;
    assert_eq!(events, [Event::Put(get(&store, &key).await.expect("it was put"))]);
    assert_eq!(events[0].revision(), at);
    assert!(watch.is_silent().await);
}

/// Inclusive, and on into the present.
pub async fn from_a_past_revision_replays(store: Store, prefix: String) {
    let key = format!("{prefix}key");
    let mut revisions = Vec::new();
    for i in 0..10 {
        revisions.push(commit(&store, vec![put(&key, i.to_string())]).await.revision);
    }
    let mut watch = Watcher::open(&store, &prefix, revisions[3]).await;
    revisions.push(commit(&store, vec![put(&key, "10")]).await.revision);
    let events = watch.until(revisions[10]).await;
    let seen: Vec<_> = events.iter().map(Event::revision).collect();
    assert_eq!(seen, revisions[3..]);
    for (event, i) in events.iter().zip(3..) {
        let Event::Put(kv) = event else { panic!("{event:?}") };
        assert_eq!((kv.value.as_ref(), kv.version), (i.to_string().as_bytes(), i + 1));
    }
}

/// A revision that is still to come is waited for.
pub async fn from_a_future_revision_waits(store: Store, prefix: String) {
    let key = format!("{prefix}key");
    let now = commit(&store, vec![put(&key, "0")]).await.revision;
    let mut watch = Watcher::open(&store, &prefix, now + 3).await;
    for i in 1..=3 {
        commit(&store, vec![put(&key, i.to_string())]).await;
    }
    let events = watch.next().await;
    assert_eq!(events[0].revision(), now + 3);
}

/// Neighbours in the order of keys, and shorter keys, do not show.
pub async fn prefix_filters(store: Store, prefix: String) {
    let mut watch = Watcher::open(&store, &format!("{prefix}in/"), 0).await;
    let key = |name: &str| put(format!("{prefix}{name}"), "");
    for other in ["in", "in.", "in0", "out/in/", "io"] {
        commit(&store, vec![key(other)]).await;
    }
    commit(&store, vec![key("in"), key("in/a"), key("in0")]).await;
    commit(&store, vec![key("in/")]).await;
    assert_eq!(names(&watch.next().await), [format!("{prefix}in/a")]);
    assert_eq!(names(&watch.next().await), [format!("{prefix}in/")]);
    assert!(watch.is_silent().await);
}

/// One transaction, one item, in the order of its steps; live and replayed.
pub async fn events_of_a_revision_come_together(store: Store, prefix: String) {
    commit(&store, vec![put(format!("{prefix}b"), "")]).await;
    let mut live = Watcher::open(&store, &prefix, 0).await;
    let key = |name: &str| format!("{prefix}{name}");
    let at = commit(&store, vec![put(key("c"), ""), delete(key("b")), put(key("a"), "")])
        .await
        .revision;
    let mut past = Watcher::open(&store, &prefix, at).await;
    for watch in [&mut live, &mut past] {
        let events = watch.next().await;
        assert_eq!(names(&events), [key("c"), key("b"), key("a")]);
        assert!(events.iter().all(|event| event.revision() == at));
    }
}

/// Revisions that together exceed any frame come whole, live and replayed.
pub async fn large_revisions_come_whole(store: Store, prefix: String) {
    const KEYS: usize = 11;
    const REVISIONS: usize = 12;
    let value = Bytes::from(vec![b'x'; 100_000]);
    let mut live = Watcher::open(&store, &prefix, 0).await;
    let mut revisions = Vec::new();
    for _ in 0..REVISIONS {
        let steps = (0..KEYS).map(|i| put(format!("{prefix}{i:02}"), value.clone())).collect();
        revisions.push(commit(&store, steps).await.revision);
    }
    let mut past = Watcher::open(&store, &prefix, revisions[0]).await;
    for watch in [&mut live, &mut past] {
        let mut seen = Vec::new();
        while seen.len() < KEYS * REVISIONS {
            let item = watch.next().await;
            assert_eq!(item.len() % KEYS, 0, "a revision is cut");
            seen.extend(item);
        }
        let expected: Vec<_> = revisions.iter().flat_map(|at| [*at; KEYS]).collect();
        assert_eq!(seen.iter().map(Event::revision).collect::<Vec<_>>(), expected);
    }
}

/// Deletes carry key and revision, one event for each key that was there.
pub async fn deletes_show(store: Store, prefix: String) {
    let names = ["a", "b", "c"].map(|name| format!("{prefix}{name}"));
    commit(&store, names.iter().map(|name| put(name, "")).collect()).await;
    let mut watch = Watcher::open(&store, &prefix, 0).await;
    let one = commit(&store, vec![delete(&names[1]), delete(format!("{prefix}absent"))])
        .await
        .revision;
    let all = commit(&store, vec![Op::DeletePrefix { prefix }]).await.revision;
    let gone = |i: usize, revision| Event::Delete {
        key: names[i].clone(),
        revision,
    };
    assert_eq!(watch.next().await, [gone(1, one)]);
    assert_eq!(watch.next().await, [gone(0, all), gone(2, all)]);
}

/// Either everything is still there, or the answer is that it is not; never a part.
pub async fn from_the_first_revision_replays_or_is_compacted(store: Store, prefix: String) {
    let mut revisions = Vec::new();
    for i in 0..50 {
        revisions.push(commit(&store, vec![put(format!("{prefix}{i}"), "")]).await.revision);
    }
    let mut watch = match store.watch(prefix, 1).await {
        Ok(watch) => watch,
        Err(error) => return assert!(matches!(error, Error::Compacted { .. }), "{error}"),
    };
    let mut seen = Vec::new();
    while seen.len() < revisions.len() {
        let item = timeout(Duration::from_secs(10), watch.next()).await.expect("it replays");
        match item.expect("a watch ends with an error") {
            Ok(events) => seen.extend(events.iter().map(Event::revision)),
            Err(Error::Compacted { requested, oldest }) => {
                assert!(seen.is_empty() && requested < oldest, "{requested} {oldest}");
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(seen, revisions);
}

/// A reader that does not read for a while gets all of it, or an error after which it can go on.
pub async fn slow_reader_misses_nothing(store: Store, prefix: String) {
    let value = Bytes::from(vec![b'x'; 4096]);
    let mut watch = Watcher::open(&store, &prefix, 0).await;
    let mut revisions = Vec::new();
    let mut left = 600;
    while left > 0 {
        let batch = (0..20).map(|i| commit_one(&store, &prefix, i, &value));
        revisions.extend(join_all(batch).await);
        left -= 20;
    }
    revisions.sort_unstable();
    let last = *revisions.last().expect("some were written");
    let seen: Vec<_> = watch.until(last).await.iter().map(Event::revision).collect();
    assert_eq!(seen, revisions);
}

async fn commit_one(store: &Store, prefix: &str, i: usize, value: &Bytes) -> u64 {
    commit(store, vec![put(format!("{prefix}{i}"), value.clone())]).await.revision
}

/// Writers at work, watches opened in the middle: each sees exactly the revisions from its first on.
pub async fn nothing_is_missed_under_concurrent_writes(store: Store, prefix: String) {
    const WRITERS: usize = 8;
    const WRITES: usize = 25;
    let writers = (0..WRITERS).map(|writer| {
        let (store, prefix) = (store.clone(), prefix.clone());
        tokio::spawn(async move {
            let mut revisions = Vec::new();
            for i in 0..WRITES {
                let steps = vec![
                    put(format!("{prefix}{writer}"), i.to_string()),
                    put(format!("{prefix}x{writer}"), ""),
                ];
                revisions.push(commit(&store, steps).await.revision);
            }
            revisions
        })
    });
    let writers: Vec<_> = writers.collect();
    let start = revision(&store).await;
    let mut watches = Vec::new();
    for from in [start + 1, start + 10, 0] {
        let first = if from == 0 { revision(&store).await + 1 } else { from };
        watches.push((first, from, Watcher::open(&store, &prefix, from).await));
    }
    let mut revisions: Vec<_> = join_all(writers)
        .await
        .into_iter()
        .flat_map(|r| r.expect("no panic"))
        .collect();
    revisions.sort_unstable();
    let end = commit(&store, vec![put(format!("{prefix}end"), "")]).await.revision;
    revisions.push(end);
    for (first, from, watch) in &mut watches {
        let mut seen: Vec<_> = watch.until(end).await.iter().map(Event::revision).collect();
        seen.dedup();
        // A watch from now may begin later than the revision that was read before it was opened, never with a gap.
        let first = if *from == 0 {
            *seen.first().expect("the end shows")
        } else {
            *first
        };
        let expected: Vec<_> = revisions.iter().copied().filter(|at| *at >= first).collect();
        assert_eq!(seen, expected);
    }
}

/// Watches are independent.
pub async fn dropped_watch_leaves_others_alone(store: Store, prefix: String) {
    let mut kept = Watcher::open(&store, &prefix, 0).await;
    for round in 0..20 {
        let mut other = Watcher::open(&store, &prefix, 0).await;
        commit(&store, vec![put(format!("{prefix}key"), round.to_string())]).await;
        if round % 2 == 0 {
            other.next().await;
        }
        drop(other);
        assert_eq!(kept.next().await.len(), 1);
    }
}

/// The way every component follows a prefix: list, then watch from the listing's revision + 1.
pub async fn listing_and_watch_meet_without_a_gap(store: Store, prefix: String) {
    let writer = {
        let (store, prefix) = (store.clone(), prefix.clone());
        tokio::spawn(async move {
            for i in 0..100 {
                commit(&store, vec![put(format!("{prefix}{i:03}"), "")]).await;
            }
            commit(&store, vec![put(format!("{prefix}end"), "")]).await.revision
        })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    let listing = list(&store, Range::prefix(prefix.as_str())).await;
    let mut watch = Watcher::open(&store, &prefix, listing.revision + 1).await;
    let end = writer.await.expect("no panic");
    let mut seen: Vec<_> = listing.items.into_iter().map(|kv| kv.key).collect();
    if listing.revision < end {
        seen.extend(watch.until(end).await.iter().map(|event| event.key().to_owned()));
    }
    let mut expected: Vec<_> = (0..100).map(|i| format!("{prefix}{i:03}")).collect();
    expected.push(format!("{prefix}end"));
    assert_eq!(seen, expected);
}
