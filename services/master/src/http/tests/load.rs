//! Get or set.

use std::time::Duration;

use futures::future::join_all;

use super::stack::Stack;

#[tokio::test]
async fn one_caller_loads_and_the_others_get_what_it_writes() {
    let stack = Stack::start(2, 2).await;
    let first = stack.get("/cache/k?load=30s").await.expect(404);
    assert_eq!(first.header("x-cache-load"), "granted");
    let others = join_all((0..10).map(|_| stack.get("/cache/k?load=30s&wait=8s")));
    let loading = async {
        // They wait now: none of them was told to load.
        tokio::time::sleep(Duration::from_millis(60)).await;
        stack.put_value("/cache/k?ttl=60", "loaded").await.expect(201);
    };
    let (others, ()) = tokio::join!(others, loading);
    for other in others {
        let other = other.expect(200);
        assert_eq!((other.text().as_str(), other.header("x-cache-load")), ("loaded", ""));
    }
    let hit = stack.get("/cache/k?load=30s").await.expect(200);
    assert_eq!((hit.header("x-cache"), hit.header("x-cache-load")), ("HIT", ""));
}

#[tokio::test]
async fn who_waits_in_vain_is_told_to_ask_again() {
    let stack = Stack::start(1, 1).await;
    stack.get("/cache/k?load=30s").await.expect(404);
    let late = stack.get("/cache/k?load=30s&wait=50ms").await;
    assert_eq!(late.header("retry-after"), "1");
    late.problem(503, "unavailable", "did not come within 50ms");
    let at_once = stack.get("/cache/k?load=30s&wait=0").await;
    at_once.problem(503, "unavailable", "somebody else loads");
}

#[tokio::test]
async fn load_that_takes_too_long_goes_to_the_next_caller() {
    let stack = Stack::start(1, 1).await;
    stack.get("/cache/k?load=0.05").await.expect(404);
    let next = stack.get("/cache/k?load=30s&wait=8s").await.expect(404);
    assert_eq!(next.header("x-cache-load"), "granted");
}

#[tokio::test]
async fn stale_entry_is_loaded_by_one_and_served_to_all() {
    let stack = Stack::start(2, 2).await;
    stack.put_value("/cache/k?ttl=0.001&stale=1h", "old").await.expect(201);
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut granted = 0;
    for _ in 0..5 {
        let read = stack.get("/cache/k?load=30s").await.expect(200);
        assert_eq!((read.text().as_str(), read.header("x-cache")), ("old", "STALE"));
        granted += usize::from(read.header("x-cache-load") == "granted");
    }
    assert_eq!(granted, 1);
    stack.put_value("/cache/k?ttl=60&stale=1h", "new").await.expect(200);
    let fresh = stack.get("/cache/k?load=30s").await.expect(200);
    assert_eq!((fresh.text().as_str(), fresh.header("x-cache")), ("new", "HIT"));
}

#[tokio::test]
async fn wrong_loads_are_refused() {
    let stack = Stack::start(1, 1).await;
    for (query, said) in [
        ("wait=5s", "give load too"),
        ("load=", "write seconds"),
        ("load=2h", "at most 1h"),
        ("load=1s&wait=1h", "at most 9s"),
    ] {
        let refused = stack.get(&format!("/cache/k?{query}")).await;
        refused.problem(400, "invalid_argument", said);
    }
    stack.ask("HEAD", "/cache/k?load=1s").await.expect(400);
}
