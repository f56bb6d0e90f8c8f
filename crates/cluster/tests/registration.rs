//! One live process per id, and a lease that comes back.

mod support;

use std::sync::Arc;
use std::time::Duration;

use cluster::{Error, LEASE_TTL, Registration, Snapshot, Standing, View};
use control::ControlStore;
use support::{Fake, auxiliary, node, registry};
use tokio_util::sync::CancellationToken;

use api::member::Role;

fn address(snapshot: &Snapshot, name: &str) -> Option<String> {
    snapshot
        .member(Role::Auxiliary, &node(name))
        .map(|member| member.address.clone())
}

fn view(store: &Arc<Fake>, stop: &CancellationToken) -> Arc<View> {
    let view = Arc::new(View::new(store.another(), &registry()));
    let (running, stop) = (Arc::clone(&view), stop.clone());
    tokio::spawn(async move { running.run(stop).await });
    view
}

fn keep(registration: Registration, stop: &CancellationToken) -> (Arc<Registration>, tokio::task::JoinHandle<()>) {
    let registration = Arc::new(registration);
    let (kept, stop) = (Arc::clone(&registration), stop.clone());
    (registration, tokio::spawn(async move { kept.keep(stop).await }))
}

#[tokio::test(start_paused = true)]
async fn a_node_is_seen_while_it_lives_and_gone_when_it_leaves() {
    let (store, stop, watching) = (Fake::new(), CancellationToken::new(), CancellationToken::new());
    let view = view(&store, &watching);
    let registration = Registration::register(store.another(), auxiliary("a", "h:1"), LEASE_TTL)
        .await
        .expect("free");
    let (_registration, kept) = keep(registration, &stop);
    view.wait_for(|snapshot| address(snapshot, "a").is_some()).await;
    tokio::time::sleep(LEASE_TTL * 5).await;
    assert_eq!(address(&view.load(), "a").as_deref(), Some("h:1"), "the lease is kept alive");
    stop.cancel();
    kept.await.expect("no panic");
    view.wait_for(|snapshot| address(snapshot, "a").is_none()).await;
    watching.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_second_live_node_with_the_same_id_is_refused() {
    let (store, stop) = (Fake::new(), CancellationToken::new());
    let first = Registration::register(store.another(), auxiliary("a", "h:1"), LEASE_TTL)
        .await
        .expect("free");
    let (first, _) = keep(first, &stop);
    let refused = Registration::register(store.another(), auxiliary("a", "other:1"), LEASE_TTL).await;
    match refused {
        Err(Error::DuplicateNode { id, address }) => assert_eq!((id, address.as_str()), (node("a"), "h:1")),
        other => panic!("{other:?}"),
    }
    assert_eq!(*first.standing().borrow(), Standing::Registered);
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_node_that_crashed_and_moved_waits_for_its_old_lease() {
    let store = Fake::new();
    let crashed = Registration::register(store.another(), auxiliary("a", "h:1"), LEASE_TTL)
        .await
        .expect("free");
    drop(crashed);
    let began = tokio::time::Instant::now();
    Registration::register(store.another(), auxiliary("a", "moved:1"), LEASE_TTL)
        .await
        .expect("the old lease ends");
    assert!(began.elapsed() >= LEASE_TTL - Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_crashed_and_came_back_in_place_is_registered_at_once() {
    let (store, stop) = (Fake::new(), CancellationToken::new());
    let crashed = Registration::register(store.another(), auxiliary("a", "h:1"), LEASE_TTL)
        .await
        .expect("free");
    let began = tokio::time::Instant::now();
    let back = Registration::register(store.another(), auxiliary("a", "h:1"), LEASE_TTL)
        .await
        .expect("taken over");
    assert!(began.elapsed() < Duration::from_millis(100));
    // Should the earlier life be alive after all, it learns that it must stop.
    let (crashed, kept) = keep(crashed, &stop);
    kept.await.expect("it stops by itself");
    assert_eq!(*crashed.standing().borrow(), Standing::Superseded);
    assert_eq!(*back.standing().borrow(), Standing::Registered);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_replaced() {
    let (store, stop) = (Fake::new(), CancellationToken::new());
    let view = view(&store, &stop);
    let registration = Registration::register(store.another(), auxiliary("a", "h:1"), LEASE_TTL)
        .await
        .expect("free");
    let (registration, _) = keep(registration, &stop);
    view.wait_for(|snapshot| address(snapshot, "a").is_some()).await;
    store.expire_all();
    view.wait_for(|snapshot| address(snapshot, "a").is_none()).await;
    view.wait_for(|snapshot| address(snapshot, "a").is_some()).await;
    assert_eq!(*registration.standing().borrow(), Standing::Registered);
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn lives_that_follow_each_other_at_once_are_seen_one_by_one() {
    let (store, stop) = (Fake::new(), CancellationToken::new());
    let view = view(&store, &stop);
    view.synced().await;
    let (first, mut later) = view.follow_all();
    assert!(address(&first, "a").is_none());
    // Nobody looks until all of it has happened.
    for life in ["h:1", "h:2", "h:3"] {
        let registered = Registration::register(store.another(), auxiliary("a", life), LEASE_TTL).await;
        drop(registered.expect("free"));
        store.expire_all();
    }
    let mut seen = Vec::new();
    while seen.len() < 6 {
        seen.push(address(&later.recv().await.expect("none is missed"), "a"));
    }
    let [one, two, three] = ["h:1", "h:2", "h:3"].map(|life| Some(life.to_owned()));
    assert_eq!(seen, [one, None, two, None, three, None]);
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn silence_of_the_store_freezes_the_view_and_ends_nothing() {
    let (store, stop) = (Fake::new(), CancellationToken::new());
    let (mine, seen) = (store.another(), store.another());
    let view = Arc::new(View::new(seen.clone() as Arc<dyn ControlStore>, &registry()));
    let (running, token) = (Arc::clone(&view), stop.clone());
    tokio::spawn(async move { running.run(token).await });
    let registration = Registration::register(mine.clone(), auxiliary("a", "h:1"), LEASE_TTL)
        .await
        .expect("free");
    let (registration, _) = keep(registration, &stop);
    view.wait_for(|snapshot| address(snapshot, "a").is_some()).await;
    mine.silence(true);
    seen.silence(true);
    tokio::time::sleep(LEASE_TTL / 2).await;
    assert_eq!(*registration.standing().borrow(), Standing::Registered);
    assert!(address(&view.load(), "a").is_some());
    tokio::time::sleep(LEASE_TTL * 2).await;
    mine.silence(false);
    seen.silence(false);
    tokio::time::sleep(LEASE_TTL).await;
    assert!(address(&view.load(), "a").is_some(), "it registered again");
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_view_that_missed_history_lists_again() {
    let (store, stop) = (Fake::new(), CancellationToken::new());
    let view = view(&store, &stop);
    view.synced().await;
    let _a = Registration::register(store.another(), auxiliary("a", "h:1"), LEASE_TTL)
        .await
        .expect("free");
    store.compact();
    view.wait_for(|snapshot| address(snapshot, "a").is_some()).await;
    stop.cancel();
}
