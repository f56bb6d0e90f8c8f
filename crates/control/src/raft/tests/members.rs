//! Masters that come and go.

use crate::ControlStore as _;
use crate::error::Error;
use crate::raft::MemberRole;
use crate::raft::tests::eventually;
use crate::raft::tests::world::World;
use crate::types::Consistency;

async fn voters(world: &World) -> Vec<String> {
    let members = world.leader().await.members().await.unwrap();
    let voters = members.into_iter().filter(|member| member.role != MemberRole::Learner);
    voters.map(|member| member.name).collect()
}

#[tokio::test]
async fn a_new_master_is_brought_up_and_votes() {
    let mut world = World::start(3).await;
    for write in 0..100 {
        world
            .follower()
            .await
            .put(&format!("k/{write}"), "v".into(), None)
            .await
            .unwrap();
    }
    let through = world.follower().await;
    let added = through.add_member("m4", "m4:9000").await.unwrap();
    assert_eq!(added.role, MemberRole::Learner);
    assert_eq!(
        through.add_member("m4", "m4:9000").await.unwrap().id,
        added.id,
        "asked again, the same"
    );
    assert!(matches!(through.add_member("m4", "m5:9000").await, Err(Error::Conflict(_))));
    let fourth = world.open("m4", &["m1", "m2"]).await;
    eventually("it votes", async || voters(&world).await.len() == 4).await;
    assert!(fourth.metrics.received() >= 1, "by a snapshot");
    fourth.put("by the new one", "v".into(), None).await.unwrap();

    // A restart needs no list any more.
    world.stop("m4").await;
    let fourth = world.open("m4", &["m1"]).await;
    assert!(
        fourth
            .get("by the new one", Consistency::Linearizable)
            .await
            .unwrap()
            .is_some()
    );
    world.end().await;
}

#[tokio::test]
async fn a_follower_and_the_leader_can_be_removed() {
    let mut world = World::start(4).await;
    let gone = world.follower().await.name().to_owned();
    world.leader().await.remove_member(&gone).await.unwrap();
    assert!(!voters(&world).await.contains(&gone));
    let removed = world.stores[&gone].clone();
    eventually("it learns that it was removed", async || {
        matches!(removed.put("a", "1".into(), None).await, Err(Error::Unavailable(text)) if text.contains("was removed"))
    })
    .await;
    world.stop(&gone).await;

    let leader = world.leader().await.name().to_owned();
    let through = world.follower().await;
    through.remove_member(&leader).await.unwrap();
    world.stop(&leader).await;
    assert_eq!(voters(&world).await.len(), 2);
    through.put("a", "1".into(), None).await.unwrap();
    assert!(matches!(through.remove_member("nobody").await, Err(Error::NotFound(_))));
    world.end().await;
}

#[tokio::test]
async fn a_dead_master_is_replaced() {
    let mut world = World::start(3).await;
    world.leader().await.put("a", "1".into(), None).await.unwrap();
    let dead = world.follower().await.name().to_owned();
    let id = world.stores[&dead].local.identity.id();
    world.stop(&dead).await;
    world.dirs.remove(&dead);
    let leader = world.leader().await;
    eventually("the leader finds it silent", async || {
        leader
            .members()
            .await
            .unwrap()
            .iter()
            .any(|member| member.name == dead && member.silent_ms.is_none_or(|ms| ms > 700))
    })
    .await;
    let live = world.follower().await.name().to_owned();
    let refused = leader.remove_member(&live).await;
    assert!(
        matches!(&refused, Err(Error::Conflict(text)) if text.contains(&dead)),
        "{refused:?}"
    );
    leader.remove_member(&dead).await.unwrap();
    let added = leader.add_member(&dead, &format!("{dead}:9000")).await.unwrap();
    assert_ne!(added.id, id, "an id is never used again");
    // The list of the first start is still in its settings.
    let back = world.open(&dead, &[]).await;
    eventually("it votes again", async || voters(&world).await.len() == 3).await;
    assert!(back.get("a", Consistency::Linearizable).await.unwrap().is_some());
    world.end().await;
}

#[tokio::test]
async fn leadership_goes_where_it_is_told() {
    let world = World::start(3).await;
    for name in ["m1", "m3", "m2"] {
        let through = world.follower().await;
        assert_eq!(through.transfer_leader(Some(name)).await.unwrap(), name);
        assert_eq!(world.leader().await.name(), name);
    }
    let other = world.leader().await.transfer_leader(None).await.unwrap();
    assert_ne!(other, "m2");
    assert!(matches!(
        world.leader().await.transfer_leader(Some("m9")).await,
        Err(Error::NotFound(_))
    ));
    world.end().await;
}

#[tokio::test]
async fn status_tells_everything_on_every_master() {
    let world = World::start(3).await;
    let leader = world.leader().await.name().to_owned();
    for store in world.stores.values() {
        eventually("all are known to be up to date", async || {
            let status = store.status().await;
            status.quorum
                && status.leader.as_deref() == Some(&leader)
                && status.members.len() == 3
                && status
                    .members
                    .iter()
                    .all(|member| member.lag == Some(0) && member.silent_ms.is_some())
        })
        .await;
        let status = store.status().await;
        assert!(status.committed > 0 && status.applied > 0 && status.term > 0 && status.trouble.is_none());
        assert_eq!(status.name, store.name());
    }
    world.end().await;
}

#[tokio::test]
async fn a_moved_master_is_found_and_its_address_written_down() {
    let mut world = World::start(3).await;
    let moved = world.follower().await.name().to_owned();
    world.stop(&moved).await;
    let new = format!("{moved}-new:9000");
    for member in &mut world.initial {
        if member.name == moved {
            member.address = new.clone();
        }
    }
    world.open(&moved, &[]).await;
    eventually("the new address is in the membership", async || {
        let members = world.leader().await.members().await.unwrap();
        members
            .iter()
            .any(|member| member.name == moved && member.address == new && member.lag == Some(0))
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn a_replaced_master_is_found_where_it_was_added_whatever_old_settings_say() {
    let mut world = World::start(3).await;
    let replaced = world.follower().await.name().to_owned();
    world.stop(&replaced).await;
    world.dirs.remove(&replaced);
    let leader = world.leader().await;
    leader.remove_member(&replaced).await.unwrap();
    let new = format!("{replaced}-new:9000");
    leader.add_member(&replaced, &new).await.unwrap();

    let listed = world.initial.clone();
    for member in &mut world.initial {
        if member.name == replaced {
            member.address = new.clone();
        }
    }
    world.open(&replaced, &[leader.name()]).await;
    eventually("it votes", async || voters(&world).await.len() == 3).await;

    // The others keep their settings, which name the place where it was.
    world.initial = listed;
    let old: Vec<String> = world.stores.keys().filter(|name| **name != replaced).cloned().collect();
    for name in &old {
        world.stop(name).await;
        world.open(name, &[]).await;
    }
    world.stop(&old[0]).await;
    let other = world.stores[&old[1]].clone();
    eventually("the two make a majority", async || {
        other.put("a", "1".into(), None).await.is_ok()
    })
    .await;
    let members = other.members().await.unwrap();
    assert!(
        members.iter().any(|member| member.name == replaced && member.address == new),
        "{members:?}"
    );
    world.end().await;
}

#[tokio::test]
async fn a_master_that_comes_first_waits_for_its_place() {
    let mut world = World::start(1).await;
    let waiting = world.starting("m2", &["m1"]);
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert!(!waiting.is_finished());
    world.leader().await.add_member("m2", "m2:9000").await.unwrap();
    let second = waiting.await.unwrap().unwrap();
    world.stores.insert("m2".to_owned(), second.clone());
    eventually("it votes", async || voters(&world).await.len() == 2).await;
    second.put("a", "1".into(), None).await.unwrap();
    for wrong in [("", "m3:9000"), ("m3", "m3"), ("m/3", "m3:9000")] {
        assert!(
            matches!(second.add_member(wrong.0, wrong.1).await, Err(Error::Invalid(_))),
            "{wrong:?}"
        );
    }
    world.end().await;
}
