//! Facts about the cache that need no model.

use std::thread;

use api::cache::{Lifetime, Packing};
use store::cache::{Bounds, Cache, Condition, Deleted, Key, MAX_CONTENT_TYPE_BYTES, Policy, Put, Refusal, Stored, Touch};

use crate::writes::{put, until};

pub(crate) const ROOMY: Bounds = Bounds {
    entries: 1_000_000,
    bytes: 256 << 20,
    policy: Policy::Lru,
};

#[test]
fn the_least_recently_used_entry_goes_first() {
    let cache = Cache::new(Bounds {
        entries: 3,
        bytes: 1 << 20,
        policy: Policy::Lru,
    });
    for (n, key) in ["a", "b", "c"].into_iter().enumerate() {
        cache.put(Key::plain(key), put(b"v", n as u64 + 1), 0).expect("room");
    }
    assert!(cache.get(Key::plain("a"), 0).is_some());
    cache.put(Key::plain("d"), put(b"v", 9), 0).expect("room after an eviction");
    assert!(cache.get(Key::plain("b"), 0).is_none());
    assert!(["a", "c", "d"].iter().all(|key| cache.get(Key::plain(key), 0).is_some()));
    assert_eq!(cache.stats().evictions_by_entries, 1);
}

#[test]
fn a_value_of_eight_mebibytes_fits_by_default_and_takes_from_all_shards() {
    let cache = Cache::new(ROOMY);
    let small = vec![1u8; 64 << 10];
    for n in 0..4_200u64 {
        cache.put(Key::plain(&n.to_string()), put(&small, n + 1), 0).expect("room");
    }
    let before = cache.stats();
    assert!(
        before.evictions_by_bytes > 0,
        "the cache is full before the large value comes"
    );
    cache
        .put(Key::plain("large"), put(&vec![2u8; 8 << 20], 10_000), 0)
        .expect("8 MiB fit in 256 MiB");
    assert_eq!(cache.get(Key::plain("large"), 0).expect("held").value().len(), 8 << 20);
    let after = cache.stats();
    assert!(after.bytes <= ROOMY.bytes);
    let newest_lost = (4_000..4_200u64)
        .filter(|n| cache.get(Key::plain(&n.to_string()), 0).is_none())
        .count();
    assert_eq!(newest_lost, 0, "recent entries were dropped while old ones stayed");
}

#[test]
fn what_cannot_fit_is_refused_and_changes_nothing() {
    let cache = Cache::new(Bounds {
        entries: 10,
        bytes: 2_000,
        policy: Policy::Lru,
    });
    cache.put(Key::plain("a"), put(b"old", 1), 0).expect("room");
    let refusal = cache.put(Key::plain("a"), put(&[0; 3_000], 2), 0);
    assert!(matches!(refusal, Err(Refusal::TooLarge { limit: 2_000, .. })), "{refusal:?}");
    assert_eq!(cache.get(Key::plain("a"), 0).expect("kept").value(), b"old");
    let tiny = Cache::new(Bounds {
        entries: 10,
        bytes: 10,
        policy: Policy::Lru,
    });
    assert!(matches!(tiny.incr(Key::plain("n"), 1, 1, 0), Err(Refusal::TooLarge { .. })));
}

#[test]
fn the_content_type_comes_back_and_has_a_bound() {
    let cache = Cache::new(ROOMY);
    let typed = Put {
        content_type: "text/plain; charset=utf-8",
        ..put(b"v", 1)
    };
    cache.put(Key::plain("a"), typed, 0).expect("room");
    let hit = cache.get(Key::plain("a"), 0).expect("held");
    assert_eq!((hit.content_type(), hit.value()), ("text/plain; charset=utf-8", &b"v"[..]));
    let long = "x".repeat(MAX_CONTENT_TYPE_BYTES + 1);
    let refusal = cache.put(
        Key::plain("a"),
        Put {
            content_type: &long,
            ..put(b"w", 2)
        },
        0,
    );
    assert_eq!(
        refusal,
        Err(Refusal::ContentTypeTooLong {
            bytes: MAX_CONTENT_TYPE_BYTES + 1
        })
    );
}

#[test]
fn a_repeated_write_is_answered_as_the_first_time() {
    let cache = Cache::new(ROOMY);
    let add = Put {
        condition: Condition::Absent,
        ..put(b"v", 5)
    };
    let first = cache.put(Key::plain("a"), add, 0);
    assert_eq!(
        first,
        Ok(Stored {
            version: 5,
            created: true
        })
    );
    assert_eq!(cache.put_again(Key::plain("a"), add, 0), first);
    let expired = Put {
        lifetime: until(10),
        ..put(b"v", 6)
    };
    let first = cache.put(Key::plain("a"), expired, 0);
    assert_eq!(
        cache.put_again(Key::plain("a"), expired, 10),
        first,
        "its value has expired meanwhile"
    );
    let read_by_another_clock = Put {
        lifetime: until(1_000_000),
        ..put(b"v", 8)
    };
    let first = cache.put(Key::plain("c"), read_by_another_clock, 0);
    let again = |expires_at_ms| Put {
        lifetime: until(expires_at_ms),
        ..read_by_another_clock
    };
    assert_eq!(cache.put_again(Key::plain("c"), again(1_002_000), 0), first);
    assert_eq!(
        cache.put_again(Key::plain("c"), again(1_100_000), 0),
        Err(Refusal::Stale { held: 8 })
    );
    assert_eq!(cache.put_again(Key::plain("c"), again(0), 0), Err(Refusal::Stale { held: 8 }));
    let newer = Put { version: 7, ..add };
    assert!(
        matches!(cache.put_again(Key::plain("b"), newer, 0), Ok(Stored { created: true, .. })),
        "the first attempt never came"
    );
}

#[test]
fn two_writes_with_one_stamp_are_told_apart() {
    let cache = Cache::new(ROOMY);
    cache.put(Key::plain("a"), put(b"one", 5), 0).expect("room");
    assert_eq!(cache.put(Key::plain("a"), put(b"two", 5), 0), Err(Refusal::Stale { held: 5 }));
    assert_eq!(
        cache.delete(Key::plain("a"), 5, Condition::None, 0),
        Err(Refusal::Stale { held: 5 })
    );
    assert_eq!(
        cache.put(Key::plain("a"), put(b"one", 5), 0),
        Err(Refusal::Stale { held: 5 }),
        "another writer may want the same value"
    );
    cache.delete(Key::plain("d"), 5, Condition::None, 0).expect("nothing there");
    let conditional = Condition::Version(4);
    assert_eq!(
        cache.delete(Key::plain("d"), 5, conditional, 0),
        Err(Refusal::Stale { held: 5 }),
        "its condition did not hold"
    );
    cache.incr(Key::plain("n"), 1, 6, 0).expect("counter");
    assert_eq!(
        cache.incr(Key::plain("n"), 1, 6, 0),
        Err(Refusal::Stale { held: 6 }),
        "an increment would be lost"
    );
}

#[test]
fn a_write_that_came_too_late_is_stale_before_its_condition_is_looked_at() {
    let cache = Cache::new(ROOMY);
    let add = Put {
        condition: Condition::Absent,
        ..put(b"v", 5)
    };
    cache.put(Key::plain("a"), add, 0).expect("absent");
    cache.put(Key::plain("a"), put(b"w", 6), 0).expect("newer");
    // Its first attempt was applied: it must not be told that it never was.
    assert_eq!(cache.put(Key::plain("a"), add, 0), Err(Refusal::Stale { held: 6 }));
    assert_eq!(
        cache.put(Key::plain("a"), Put { version: 7, ..add }, 0),
        Err(Refusal::PreconditionFailed { held: Some(6) })
    );
}

#[test]
fn a_delete_leaves_a_version_behind_whether_there_was_something_or_not() {
    let cache = Cache::new(ROOMY);
    cache.put(Key::plain("a"), put(b"v", 5), 0).expect("room");
    for (key, existed) in [("a", true), ("b", false)] {
        let first = cache.delete(Key::plain(key), 7, Condition::None, 0);
        assert_eq!(first, Ok(Deleted { existed }));
        assert_eq!(cache.delete_again(Key::plain(key), 7, Condition::None, 0), first);
        assert_eq!(
            cache.put(Key::plain(key), put(b"late", 6), 0),
            Err(Refusal::Stale { held: 7 })
        );
        assert_eq!(cache.incr(Key::plain(key), 1, 7, 0), Err(Refusal::Stale { held: 7 }));
        assert!(cache.get(Key::plain(key), 0).is_none());
        let again = cache.put(Key::plain(key), put(b"new", 8), 0);
        assert_eq!(
            again,
            Ok(Stored {
                version: 8,
                created: true
            })
        );
    }
    assert_eq!(cache.stats().tombstones, 0, "a new value takes the tombstone's place");
    let refused = cache.delete(Key::plain("c"), 9, Condition::Present, 0);
    assert_eq!(refused, Err(Refusal::PreconditionFailed { held: None }));
    assert_eq!(cache.stats().tombstones, 0, "a refused delete leaves nothing");
}

#[test]
fn a_touch_changes_the_life_time_and_nothing_else() {
    let cache = Cache::new(ROOMY);
    let typed = Put {
        content_type: "text/plain",
        lifetime: until(100),
        ..put(b"v", 5)
    };
    cache.put(Key::plain("a"), typed, 0).expect("room");
    let touch = Touch {
        lifetime: Lifetime {
            fresh_until_ms: 150,
            expires_at_ms: 200,
        },
        version: 6,
        condition: Condition::Version(5),
    };
    let touched = Ok(Some(Stored {
        version: 6,
        created: false,
    }));
    assert_eq!(cache.touch(Key::plain("a"), touch, 50), touched);
    assert_eq!(
        cache.touch(Key::plain("a"), touch, 50),
        Err(Refusal::Stale { held: 6 }),
        "it may have been another write of that stamp"
    );
    let hit = cache.get(Key::plain("a"), 199).expect("still there");
    assert_eq!((hit.value(), hit.content_type(), hit.version()), (&b"v"[..], "text/plain", 6));
    assert!(hit.is_stale(150) && !hit.is_stale(149));
    assert!(cache.get(Key::plain("a"), 200).is_none());
    let late = Touch {
        condition: Condition::None,
        ..touch
    };
    assert_eq!(cache.touch(Key::plain("a"), late, 200), Ok(None));
    assert_eq!(
        cache.touch(Key::plain("a"), touch, 200),
        Err(Refusal::PreconditionFailed { held: None })
    );
}

#[test]
fn a_packed_value_is_no_number() {
    let cache = Cache::new(ROOMY);
    let packed = Put {
        packing: Packing::Lz4,
        ..put(b"12", 1)
    };
    cache.put(Key::plain("n"), packed, 0).expect("room");
    assert_eq!(cache.get(Key::plain("n"), 0).expect("held").packing(), Packing::Lz4);
    assert_eq!(cache.incr(Key::plain("n"), 1, 2, 0), Err(Refusal::NotAnInteger));
}

#[test]
fn the_time_of_a_write_may_be_over_when_it_comes() {
    let cache = Cache::new(ROOMY);
    cache.put(Key::plain("a"), put(b"old", 1), 0).expect("room");
    let over = Put {
        lifetime: until(50),
        ..put(b"new", 2)
    };
    cache.put(Key::plain("a"), over, 60).expect("room");
    let record = cache.record(Key::plain("a")).expect("replicas have to be told");
    assert_eq!(record.version, 2);
    assert!(cache.get(Key::plain("a"), 60).is_none(), "the old value is gone, too");
}

#[test]
fn time_to_live_ends_at_its_millisecond_swept_or_not() {
    let cache = Cache::new(ROOMY);
    cache
        .put(
            Key::plain("a"),
            Put {
                lifetime: until(100),
                ..put(b"v", 1)
            },
            50,
        )
        .expect("room");
    assert!(cache.get(Key::plain("a"), 99).is_some());
    assert!(cache.get(Key::plain("a"), 100).is_none());
    assert_eq!(
        (cache.stats().expirations, cache.stats().entries, cache.stats().bytes),
        (1, 0, 0)
    );
}

#[test]
fn a_sweep_does_bounded_work_and_finds_everything_in_the_end() {
    let cache = Cache::new(ROOMY);
    for n in 0..5_000u64 {
        let expires_at_ms = if n % 2 == 0 { 10 + n } else { 0 };
        cache
            .put(
                Key::plain(&n.to_string()),
                Put {
                    lifetime: until(expires_at_ms),
                    ..put(b"v", n + 1)
                },
                0,
            )
            .expect("room");
    }
    // Written again without, and with a later, expiry: the old one must not take the entry away.
    cache.put(Key::plain("0"), put(b"stays", 10_000), 0).expect("room");
    cache
        .put(
            Key::plain("2"),
            Put {
                lifetime: until(1_000_000),
                ..put(b"stays", 10_000)
            },
            0,
        )
        .expect("room");
    let mut calls = 0;
    while cache.sweep(10_000, 300) > 0 {
        calls += 1;
    }
    assert!(calls >= 2_498 / 300, "{calls} calls did the work of at least 9");
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.expirations), (2_502, 2_498));
    assert!(cache.get(Key::plain("0"), 10_000).is_some() && cache.get(Key::plain("2"), 10_000).is_some());
}

#[test]
fn concurrent_increments_are_all_counted() {
    let cache = Cache::new(Bounds {
        entries: 500,
        bytes: 1 << 20,
        policy: Policy::Lru,
    });
    thread::scope(|scope| {
        for worker in 0..4u64 {
            let cache = &cache;
            scope.spawn(move || {
                for n in 0..2_000u64 {
                    let mut version = n * 4 + worker + 1;
                    while let Err(Refusal::Stale { held }) = cache.incr(Key::plain("n"), 1, version, 0) {
                        version = (held / 4 + 1) * 4 + worker + 1;
                    }
                    let noise = format!("{worker}-{}", n % 40);
                    cache.put(Key::plain(&noise), put(&[0; 100], version), 0).expect("room");
                }
            });
        }
    });
    assert_eq!(cache.get(Key::plain("n"), 0).expect("held").value(), b"8000");
    assert_eq!(cache.stats().entries, 161);
}
