//! Clocks that are hours off: nobody's entries end sooner or later for it, and nobody's writes are refused.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use api::Key;
use api::cache::{Condition, Lifetime};
use bytes::Bytes;
use cache::front::{Action, Operation, Outcome, Write};
use cluster::RingPolicy;
use tokio::time::{Instant, sleep};

use super::checks;
use super::freeze::Freeze;
use super::leader::lead;
use super::mutant::Mutant;
use super::node::Auxiliary;
use super::world::{Place, World};

/// Microseconds.
const HOUR: i64 = 3_600_000_000;
/// One is right, one ahead, one behind: auxiliaries, and masters too.
const AHEAD: [i64; 3] = [0, HOUR, -HOUR];
const KEYS: u64 = 40;
/// What a read may be late or early: calls take up to 40 milliseconds here, and primaries expire for their replicas.
const DOUBT: Duration = Duration::from_millis(300);

/// Runs `scene` on a stack whose clocks are hours apart.
pub(crate) fn run(scene: impl AsyncFnOnce(&Arc<World>)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(async {
        let world = World::new(7, Mutant::None, false);
        for (number, ahead) in (0..).zip(AHEAD) {
            let slot = Auxiliary {
                weight: 1,
                zone: None,
                ahead: Arc::new(AtomicI64::new(ahead)),
                life: None,
                backup: Vec::new(),
            };
            world.auxiliaries.lock().insert(number, slot);
            world.start_auxiliary(number, &[]);
            world.start_master(number, &Arc::new(AtomicI64::new(ahead)));
        }
        let policy = RingPolicy {
            virtual_nodes: 8,
            replicas: 2,
        };
        tokio::spawn(lead(Arc::clone(&world), Freeze::new(), policy));
        checks::stable(&world).await;
        scene(&world).await;
        assert_eq!(world.failure(), None);
        world.end();
    });
}

async fn act(world: &Arc<World>, master: u8, key: &str, action: Action) -> Outcome {
    let operation = Operation {
        namespace: "".into(),
        key: Key::try_new(key.to_owned()).expect("a short key is a good one"),
        action,
    };
    let answer = world.master(master).cache.execute(operation).await;
    answer.unwrap_or_else(|failure| panic!("m{master}, {key}: {failure}")).outcome
}

/// A life time as a master gives it: by its own clock.
fn lifetime(world: &World, master: u8, ttl: Duration) -> Lifetime {
    let now_ms = world
        .now_ms()
        .saturating_add_signed(world.ahead(Place::Master(master)) / 1_000);
    let expires_at_ms = now_ms + ttl.as_millis() as u64;
    Lifetime {
        fresh_until_ms: expires_at_ms,
        expires_at_ms,
    }
}

async fn put(world: &Arc<World>, master: u8, key: &str, value: &str, ttl: Option<Duration>) {
    let lifetime = ttl.map(|ttl| lifetime(world, master, ttl)).unwrap_or_default();
    let write = Write::new(Bytes::from(value.to_owned()), String::new(), lifetime, Condition::None);
    let outcome = act(world, master, key, Action::Put(write)).await;
    assert!(matches!(outcome, Outcome::Stored { .. }), "m{master}, {key}: {outcome:?}");
}

/// The value, and how long it lives yet by the clock of the master that is asked.
async fn get(world: &Arc<World>, master: u8, key: &str) -> Option<(String, Duration)> {
    match act(world, master, key, Action::Get).await {
        Outcome::Hit(found) => {
            let now = lifetime(world, master, Duration::ZERO).expires_at_ms;
            let left = Duration::from_millis(found.lifetime.expires_at_ms.saturating_sub(now));
            Some((String::from_utf8_lossy(&found.value).into_owned(), left))
        }
        Outcome::Miss { .. } => None,
        other => panic!("m{master}, {key}: {other:?}"),
    }
}

/// Whether all masters find all keys with so much left, or none of them.
async fn all_have(world: &Arc<World>, ends: Instant) {
    for number in 0..KEYS {
        for master in 0..3 {
            let (key, began) = (format!("k{number}"), Instant::now());
            let found = get(world, master, &key).await;
            if Instant::now() + DOUBT < ends {
                let (_, left) = found.unwrap_or_else(|| panic!("{key} is gone, said to m{master}, {:?} early", ends - began));
                let right = ends.saturating_duration_since(Instant::now());
                assert!(
                    left.abs_diff(right) < DOUBT,
                    "{key}: m{master} says {left:?}, and it is {right:?}"
                );
            } else if began > ends + DOUBT {
                assert_eq!(found, None, "{key} lives, said to m{master}, {:?} late", began - ends);
            }
        }
    }
}

#[test]
fn entries_end_on_time_whatever_the_clocks_say() {
    run(async |world| {
        let ttl = Duration::from_secs(60);
        let began = Instant::now();
        for number in 0..KEYS {
            let ends_in = ttl - began.elapsed();
            put(world, (number % 3) as u8, &format!("k{number}"), "v", Some(ends_in)).await;
        }
        all_have(world, began + ttl).await;
        // The copies of what a node held, and what is fetched by those that become owners, count the same time.
        for number in 0..3 {
            world.kill_auxiliary(number);
            checks::stable(world).await;
            all_have(world, began + ttl).await;
            world.start_auxiliary(number, &[]);
            checks::stable(world).await;
            all_have(world, began + ttl).await;
        }
        assert!(began.elapsed() < ttl, "all this took {:?}", began.elapsed());
        sleep(ttl.saturating_sub(began.elapsed()) + 2 * DOUBT).await;
        all_have(world, began + ttl).await;
    });
}

#[test]
fn touched_entries_end_on_time_whatever_the_clocks_say() {
    run(async |world| {
        for number in 0..KEYS {
            put(world, 0, &format!("k{number}"), "v", Some(Duration::from_secs(600))).await;
        }
        let began = Instant::now();
        for number in 0..KEYS {
            let (master, ends_in) = ((number % 3) as u8, Duration::from_secs(20).saturating_sub(began.elapsed()));
            let action = Action::Touch {
                lifetime: lifetime(world, master, ends_in),
                condition: Condition::None,
            };
            act(world, master, &format!("k{number}"), action).await;
        }
        all_have(world, began + Duration::from_secs(20)).await;
        sleep(Duration::from_secs(21)).await;
        all_have(world, began + Duration::from_secs(20)).await;
    });
}

#[test]
fn last_writer_wins_whatever_the_clocks_say() {
    run(async |world| {
        for (turn, master) in [1, 0, 2, 1, 2, 0].into_iter().enumerate() {
            for number in 0..KEYS {
                put(world, master, &format!("k{number}"), &format!("v{turn}"), None).await;
            }
            for number in 0..KEYS {
                let (value, _) = get(world, (number % 3) as u8, &format!("k{number}"))
                    .await
                    .expect("it was written");
                assert_eq!(value, format!("v{turn}"));
            }
        }
        // A delete by the clock behind, of what the clock ahead wrote; and a write by the clock that is right after that.
        for number in 0..KEYS {
            let key = format!("k{number}");
            put(world, 1, &key, "ahead", None).await;
            let condition = Condition::None;
            let gone = act(world, 2, &key, Action::Delete { condition }).await;
            assert!(matches!(gone, Outcome::Deleted { existed: true }), "{gone:?}");
            assert_eq!(get(world, 1, &key).await, None);
            put(world, 0, &key, "again", None).await;
            assert_eq!(get(world, 2, &key).await.map(|(value, _)| value).as_deref(), Some("again"));
        }
        for number in 0..3 {
            world.kill_auxiliary(number);
            checks::stable(world).await;
            world.start_auxiliary(number, &[]);
            checks::stable(world).await;
        }
        for number in 0..KEYS {
            let (value, _) = get(world, 0, &format!("k{number}")).await.expect("it was written");
            assert_eq!(value, "again");
        }
    });
}
