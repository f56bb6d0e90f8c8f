//! Blobs with copies: how copies get to where they belong as disks lie, and nodes come and go.

mod support;

use std::time::Duration;

use api::NodeId;
use api::member::Role;
use auxiliary::Settings;
use blobs::conformance::{content, whole};
use blobs::{BlobStore, Content};
use bytes::Bytes;
use settings::HumanDuration;
use support::blobs::{by_id, client, eventually, file, hasty, holders, in_halves, mortals, owners};
use support::{Cluster, Mortal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_copy_is_read_elsewhere_and_healed() {
    let cluster = Cluster::with_replicas(2).await;
    let nodes = mortals(&cluster, ["a", "b"]).await;
    let blobs = client(&cluster);
    let written = content(2_000_000);
    blobs.put("x/y", Content::bytes(written.clone())).await.expect("put");
    let first = owners(&cluster, "x/y")[0].clone();
    let path = file(&cluster, &first, "x/y");
    for at in [1_500_000, 2_000_010] {
        let mut bytes = std::fs::read(&path).expect("file");
        bytes[at] ^= 4;
        std::fs::write(&path, &bytes).expect("write");
        let (_, read) = blobs.get("x/y", None).await.expect("get");
        assert!(whole(read).await.expect("the other copy is good") == written);
        let good = bytes.len();
        eventually("the copy is healed", || {
            let now = std::fs::read(&path).unwrap_or_default();
            now.len() == good && now[at] == bytes[at] ^ 4
        })
        .await;
    }
    drop(nodes);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrub_finds_damage_that_nobody_reads() {
    let cluster = Cluster::with_replicas(2).await;
    let settings = |name| Settings {
        blob_scrub_interval: HumanDuration(Duration::from_millis(200)),
        ..hasty(&cluster, name)
    };
    let (a, b) = (cluster.mortal(settings("a")).await, cluster.mortal(settings("b")).await);
    let written = content(700_000);
    client(&cluster)
        .put("x/y", Content::bytes(written.clone()))
        .await
        .expect("put");
    let path = file(&cluster, "b", "x/y");
    let mut bytes = std::fs::read(&path).expect("file");
    bytes[600_000] ^= 1;
    std::fs::write(&path, &bytes).expect("write");
    eventually("the copy is healed", || holders(&cluster, &["b"], "x/y", &written) == ["b"]).await;
    let figures = telemetry::render(&b.registry);
    assert!(figures.contains("blob_damaged_total 1"), "{figures}");
    assert!(figures.contains("blob_repairs_total{result=\"healed\"} 1"), "{figures}");
    drop((a, b));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_follow_the_ring_as_nodes_come_and_go() {
    let cluster = Cluster::with_replicas(2).await;
    let mut nodes = mortals(&cluster, ["a", "b"]).await.into_iter().collect::<Vec<_>>();
    let blobs = client(&cluster);
    let written: Vec<(String, Bytes)> = (0..40).map(|n| (format!("x/{n}"), content(5_000 * n + 7))).collect();
    for (name, content) in &written {
        blobs.put(name, Content::bytes(content.clone())).await.expect("put");
    }
    let placed = |all: &[&str]| {
        written.iter().all(|(name, content)| {
            let mut owners = owners(&cluster, name);
            owners.sort();
            holders(&cluster, all, name, content) == owners
        })
    };
    assert!(placed(&["a", "b"]));
    nodes.push(cluster.mortal(hasty(&cluster, "c")).await);
    eventually("the new node has its share, and nobody has more", || placed(&["a", "b", "c"])).await;

    by_id(&mut nodes, "a").kill();
    cluster.in_ring("a", false).await;
    eventually("what the dead node held has two copies again", || placed(&["b", "c"])).await;
    for (name, content) in &written {
        let (_, read) = blobs.get(name, None).await.expect("get");
        assert!(whole(read).await.expect("read") == *content, "{name}");
    }
    drop(nodes);
    cluster.stop().await;
}

/// Copies that a node's repair has made.
fn copied(node: &Mortal) -> u32 {
    let figures = telemetry::render(&node.registry);
    let copied = figures
        .lines()
        .find_map(|line| line.strip_prefix("blob_repairs_total{result=\"copied\"} "));
    copied.map_or(0, |copied| copied.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_back_in_time_costs_nothing() {
    let cluster = Cluster::with_replicas(2).await;
    let patient = |name| Settings {
        blob_repair_after: HumanDuration(Duration::from_secs(600)),
        ..hasty(&cluster, name)
    };
    let (a, b) = (cluster.mortal(patient("a")).await, cluster.mortal(patient("b")).await);
    let mut c = cluster.mortal(patient("c")).await;
    let blobs = client(&cluster);
    for n in 0..20 {
        blobs
            .put(&format!("x/{n}"), Content::bytes(content(1_000 + n)))
            .await
            .expect("put");
    }
    // A pass may have met writes that were under way, and done the same.
    let before: u32 = [&a, &b].into_iter().map(copied).sum();
    c.kill();
    cluster.in_ring("c", false).await;
    let written = content(3_000);
    blobs.put("y/meanwhile", Content::bytes(written.clone())).await.expect("put");
    // Its lease ends by itself; until then the name is taken.
    let c = NodeId::try_new("c").expect("valid");
    cluster
        .view
        .wait_for(|snapshot| snapshot.member(Role::Auxiliary, &c).is_none())
        .await;
    let c = cluster.mortal(patient("c")).await;
    eventually("what was written meanwhile is where it belongs", || {
        let mut owners = owners(&cluster, "y/meanwhile");
        owners.sort();
        holders(&cluster, &["a", "b", "c"], "y/meanwhile", &written) == owners
    })
    .await;
    let moved: u32 = [&a, &b, &c].into_iter().map(copied).sum();
    assert!(
        moved - before <= 1,
        "only the blob that was written meanwhile moves, and not {}",
        moved - before
    );
    drop((a, b, c));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_during_which_the_ring_changes_ends_where_it_belongs() {
    let cluster = Cluster::with_replicas(2).await;
    let mut nodes = mortals(&cluster, ["a", "b"]).await.into_iter().collect::<Vec<_>>();
    let blobs = client(&cluster);
    let mut uploads = Vec::new();
    for n in 0..8 {
        let (name, written) = (format!("x/{n}"), content(1_000_000 + n));
        let (half, go) = in_halves(&written);
        let (blobs, blob) = (blobs.clone(), name.clone());
        let putting = tokio::spawn(async move { blobs.put(&blob, half).await });
        uploads.push((name, written, go, putting));
    }
    nodes.push(cluster.mortal(hasty(&cluster, "c")).await);
    let mut stored = Vec::new();
    for (name, written, go, putting) in uploads {
        go.send(()).expect("the upload waits");
        putting.await.expect("no panic").expect("stored");
        let owners = owners(&cluster, &name);
        let held = holders(&cluster, &["a", "b", "c"], &name, &written);
        assert!(
            owners.iter().all(|owner| held.contains(owner)),
            "{name}: {owners:?} of {held:?}"
        );
        stored.push((name, written));
    }
    eventually("nobody has more than belongs there", || {
        stored
            .iter()
            .all(|(name, written)| holders(&cluster, &["a", "b", "c"], name, written).len() == 2)
    })
    .await;
    drop(nodes);
    cluster.stop().await;
}
