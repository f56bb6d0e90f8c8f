//! What is kept though its time is over.

use store::cache::{Bounds, Cache, Condition, Keep, Key, Policy, Put, Refusal, Stored};

use crate::facts::ROOMY;
use crate::writes::{put, until};

#[test]
fn what_has_expired_and_is_kept_is_a_version_and_no_value() {
    let cache = Cache::new(ROOMY);
    let expiring = Put {
        lifetime: until(100),
        ..put(b"v", 5)
    };
    cache.put(Key::plain("a"), expiring, 0).expect("room");
    cache.keep(Keep::Versions);
    assert!(cache.get(Key::plain("a"), 100).is_none());
    assert_eq!((cache.sweep(100, 10), cache.stats().entries), (0, 1));
    assert_eq!(
        cache.put(Key::plain("a"), put(b"old", 4), 100),
        Err(Refusal::Stale { held: 5 })
    );
    let add = Put {
        condition: Condition::Absent,
        ..put(b"w", 6)
    };
    let added = cache.put(Key::plain("a"), add, 100);
    assert!(matches!(added, Ok(Stored { created: true, .. })), "{added:?}");
    cache.put(Key::plain("b"), expiring, 0).expect("room");
    cache.keep(Keep::Nothing);
    assert_eq!((cache.sweep(100, 10), cache.stats().entries), (1, 1));
}

#[test]
fn what_is_kept_makes_room_like_anything_else() {
    let bounds = Bounds {
        entries: 100,
        bytes: 1 << 20,
        policy: Policy::Lru,
    };
    let cache = Cache::new(bounds);
    cache.keep(Keep::Versions);
    for n in 0..1_000u64 {
        let expiring = Put {
            lifetime: until(n + 1),
            ..put(b"v", n + 1)
        };
        cache.put(Key::plain(&n.to_string()), expiring, n).expect("room");
        assert!(cache.stats().entries <= 100);
    }
    assert_eq!(cache.stats().expirations, 0);
}
