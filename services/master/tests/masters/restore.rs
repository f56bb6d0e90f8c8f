//! A saved store begins a new cluster.

use control::raft::{InitialMember, RestoreRequest, inspect, restore};

use crate::support::Masters;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saved_store_begins_a_new_cluster_of_three() {
    let mut masters = Masters::start(3).await;
    for i in 0..30 {
        assert_eq!(masters.put(1, &format!("/kv/k{i}"), &i.to_string()).await.unwrap().0, 201);
    }
    let saved = masters
        .peers
        .get(&masters.public(2), "/cluster/snapshot")
        .send()
        .await
        .unwrap();
    let file = masters.scratch("saved");
    std::fs::write(&file, saved.bytes().await.unwrap()).unwrap();
    assert!(inspect(&file).unwrap().keys >= 30);
    let before = masters.status(1).await.unwrap();
    assert_eq!(masters.put(1, "/kv/after", "not in it").await.unwrap().0, 201);
    masters.stop(&[1, 2, 3]).await;
    for at in 1..=3 {
        masters.wipe(at);
    }

    let initial = masters.settings(1).raft_initial_cluster.0.join(",");
    let request = RestoreRequest {
        file: file.clone(),
        dir: masters.directory(2),
        name: "master-2".to_owned(),
        address: masters.private(2),
        initial_cluster: InitialMember::parse_list(&initial).unwrap(),
    };
    let restored = restore(&request).await.unwrap();
    assert!(restored.keys >= 30 && restored.revision >= 30, "{restored:?}");
    restore(&request).await.expect_err("the directory is not empty any more");
    masters.start_all(&[1, 2, 3]).await;
    for at in 1..=3 {
        assert_eq!(masters.get(at, "/kv/k29").await.unwrap(), (200, 29.into()));
        assert!(masters.get(at, "/kv/after").await.is_err());
    }
    let after = masters.status(1).await.unwrap();
    assert_ne!(after.cluster_id, before.cluster_id, "nobody takes it for the old one");
    masters.until("three voters", async || masters.roles(1).await == (3, 0)).await;
    masters.stop(&[1, 2, 3]).await;
}
