//! Members that come and go while the cluster works.

use api::ErrorCode;
use serde_json::json;

use crate::support::{Masters, refused};

async fn add(masters: &Masters, through: usize, at: usize) {
    let place = json!({ "name": format!("master-{at}"), "address": masters.private(at) });
    let (status, member) = masters.post(through, "/cluster/join", &place).await.unwrap();
    assert_eq!((status, &member["role"]), (201, &json!("learner")), "{member}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newcomer_catches_up_and_votes() {
    let mut masters = Masters::start(3).await;
    for i in 0..50 {
        masters.put(1, &format!("/kv/k{i}"), "v").await.unwrap();
    }
    masters.newcomer(4);
    add(&masters, 2, 4).await;
    masters.start_all(&[4]).await;
    masters.until("four voters", async || masters.roles(4).await == (4, 0)).await;
    assert_eq!(masters.get(4, "/kv/k49").await.unwrap().0, 200);
    assert_eq!(masters.put(4, "/kv/new", "v").await.unwrap().0, 201);
    // It finds the others again with nothing but its directory.
    masters.stop(&[4]).await;
    masters.change(4, |settings| settings.raft_join = settings::List::default());
    masters.start_all(&[4]).await;
    masters.stop(&[1, 2, 3, 4]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_node_is_replaced_under_its_name() {
    let mut masters = Masters::start(3).await;
    let dead = masters.leader(&[1, 2, 3]).await;
    let rest: Vec<usize> = (1..=3).filter(|at| *at != dead).collect();
    masters.stop(&[dead]).await;
    masters.wipe(dead);
    masters.leader(&rest).await;
    let (status, _) = masters
        .delete(rest[0], &format!("/cluster/members/master-{dead}"))
        .await
        .unwrap();
    assert_eq!(status, 204);
    masters
        .until("two voters", async || masters.roles(rest[1]).await == (2, 0))
        .await;
    let join = settings::List(rest.iter().map(|at| masters.private(*at)).collect());
    masters.change(dead, |settings| {
        settings.raft_initial_cluster = settings::List::default();
        settings.raft_join = join;
    });
    add(&masters, rest[0], dead).await;
    masters.start_all(&[dead]).await;
    masters
        .until("three voters", async || masters.roles(dead).await == (3, 0))
        .await;
    masters.stop(&[1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_can_be_removed_and_the_rest_goes_on() {
    let mut masters = Masters::start(3).await;
    let leader = masters.leader(&[1, 2, 3]).await;
    let rest: Vec<usize> = (1..=3).filter(|at| *at != leader).collect();
    // Asked of the leader itself.
    assert_eq!(
        masters
            .delete(leader, &format!("/cluster/members/master-{leader}"))
            .await
            .unwrap()
            .0,
        204
    );
    masters
        .until("two voters", async || masters.roles(rest[0]).await == (2, 0))
        .await;
    assert_ne!(masters.leader(&rest).await, leader);
    assert_eq!(masters.put(rest[0], "/kv/k", "v").await.unwrap().0, 201);
    masters.stop(&[1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_that_would_lose_the_majority_is_refused() {
    let mut masters = Masters::start(3).await;
    masters.stop(&[3]).await;
    let leader = masters.leader(&[1, 2]).await;
    masters
        .until("the leader to miss master-3", async || {
            let status = masters.status(leader).await.unwrap();
            status
                .members
                .iter()
                .any(|member| member.name == "master-3" && member.silent_ms.is_none_or(|silent| silent > 2500))
        })
        .await;
    let (code, detail) = refused(masters.delete(leader, "/cluster/members/master-2").await);
    assert_eq!(code, ErrorCode::Conflict, "{detail}");
    assert!(detail.contains("majority") && detail.contains("master-3"), "{detail}");
    let (code, detail) = refused(
        masters
            .post(leader, "/cluster/transfer-leader", &json!({ "to": "master-3" }))
            .await,
    );
    assert_eq!(code, ErrorCode::Conflict, "{detail}");
    assert_eq!(masters.put(1, "/kv/k", "v").await.unwrap().0, 201, "it goes on as before");
    masters.stop(&[1, 2]).await;
}
