//! Blobs with copies: what clients are promised while nodes die, come and go, and disks lie.

mod support;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::NodeId;
use api::member::Role;
use auxiliary::Settings;
use blobs::conformance::{check_all, content, whole};
use blobs::{BlobStore, Content, Error, NAMESPACE, Replicated};
use bytes::Bytes;
use futures::{StreamExt, stream};
use settings::{ByteSize, HumanDuration};
use support::{Cluster, Mortal};

/// A client of the cluster's blobs.
fn client(cluster: &Cluster) -> Replicated {
    Replicated::new(cluster.peers.clone(), Arc::clone(&cluster.view))
}

/// Settings with which blobs follow the ring at once.
fn hasty(cluster: &Cluster, name: &str) -> Settings {
    Settings {
        blob_repair_after: HumanDuration(Duration::from_millis(500)),
        blob_min_free: ByteSize(0),
        ..cluster.settings(name)
    }
}

async fn mortals<const N: usize>(cluster: &Cluster, names: [&str; N]) -> [Mortal; N] {
    let mut nodes = Vec::new();
    for name in names {
        nodes.push(cluster.mortal(hasty(cluster, name)).await);
    }
    nodes.try_into().unwrap_or_else(|_| panic!("as many as names"))
}

fn file(cluster: &Cluster, node: &str, blob: &str) -> PathBuf {
    cluster.directory.path().join(node).join("blobs").join(blob.replace('/', "+"))
}

/// Nodes with a file of the blob that holds this content.
fn holders(cluster: &Cluster, nodes: &[&str], blob: &str, content: &[u8]) -> Vec<String> {
    let holds = |node: &&&str| std::fs::read(file(cluster, node, blob)).is_ok_and(|file| file.starts_with(content));
    nodes.iter().filter(holds).map(|node| (*node).to_owned()).collect()
}

/// The owners of a blob by the ring as it is.
fn owners(cluster: &Cluster, blob: &str) -> Vec<String> {
    let snapshot = cluster.view.load();
    let owners = snapshot.routing().candidates(NAMESPACE, blob);
    owners.iter().take(2).map(|owner| owner.id.to_string()).collect()
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), patience)
        .await
        .unwrap_or_else(|_| panic!("{what}"));
}

fn by_id<'a>(nodes: &'a mut [Mortal], id: &str) -> &'a mut Mortal {
    nodes.iter_mut().find(|node| node.id == id).expect("one of them")
}

/// A content whose second half is sent when the sender says so.
fn in_halves(content: &Bytes) -> (Content, tokio::sync::oneshot::Sender<()>) {
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let (first, second) = (content.slice(..content.len() / 2), content.slice(content.len() / 2..));
    let pieces = |half: Bytes| {
        let count = half.len().div_ceil(50_000);
        stream::iter((0..count).map(move |n| Ok::<_, io::Error>(half.slice(n * 50_000..((n + 1) * 50_000).min(half.len())))))
    };
    let wait = stream::once(async move {
        gone.await.ok();
        Ok(Bytes::new())
    });
    (Content::Stream(pieces(first).chain(wait).chain(pieces(second)).boxed()), go)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_of_all_engines_passes() {
    let cluster = Cluster::with_replicas(2).await;
    let nodes = mortals(&cluster, ["a", "b", "c"]).await;
    check_all(Arc::new(client(&cluster))).await;
    drop(nodes);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_blob_is_on_both_owners() {
    let cluster = Cluster::with_replicas(2).await;
    let alone = mortals(&cluster, ["a"]).await;
    let blobs = client(&cluster);
    blobs
        .put("x/alone", Content::bytes(content(100)))
        .await
        .expect("one copy where there is one node");
    let others = mortals(&cluster, ["b", "c"]).await;
    for n in 0..20 {
        let (name, content) = (format!("x/{n}"), content(10_000 * n + 1));
        blobs.put(&name, Content::bytes(content.clone())).await.expect("put");
        let mut owners = owners(&cluster, &name);
        owners.sort();
        assert_eq!(holders(&cluster, &["a", "b", "c"], &name, &content), owners);
    }
    drop((alone, others));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_outlives_the_owner_that_is_to_copy_it() {
    let cluster = Cluster::with_replicas(2).await;
    let mut nodes = mortals(&cluster, ["a", "b", "c"]).await;
    let blobs = client(&cluster);
    let written = content(4_000_000);
    let second = owners(&cluster, "x/y")[1].clone();
    let (half, go) = in_halves(&written);
    let putting = {
        let blobs = blobs.clone();
        tokio::spawn(async move { blobs.put("x/y", half).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    by_id(&mut nodes, &second).kill();
    go.send(()).expect("the upload waits");
    putting.await.expect("no panic").expect("it is stored without the dead owner");
    let left: Vec<&str> = ["a", "b", "c"].into_iter().filter(|id| *id != second).collect();
    assert_eq!(holders(&cluster, &left, "x/y", &written).len(), 2);
    drop(nodes);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_node_that_is_written_to_dies_a_file_is_sent_again_and_a_stream_is_refused() {
    let cluster = Cluster::with_replicas(2).await;
    let mut nodes = mortals(&cluster, ["a", "b", "c"]).await;
    let blobs = client(&cluster);
    let written = content(4_000_000);
    let first = owners(&cluster, "x/y")[0].clone();
    let (half, go) = in_halves(&written);
    let putting = {
        let blobs = blobs.clone();
        tokio::spawn(async move { blobs.put("x/y", half).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    by_id(&mut nodes, &first).kill();
    go.send(()).ok();
    let refused = putting.await.expect("no panic");
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    let left: Vec<&str> = ["a", "b", "c"].into_iter().filter(|id| *id != first).collect();
    assert_eq!(holders(&cluster, &left, "x/y", &[]), [""; 0], "nothing half-written is there");

    // The dead node is still the first owner for a moment.
    let path = cluster.directory.path().join("upload");
    std::fs::write(&path, &written).expect("file");
    blobs.put("x/y", Content::File(path)).await.expect("sent to another");
    assert_eq!(holders(&cluster, &left, "x/y", &written).len(), 2);
    drop(nodes);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_goes_on_at_the_same_offset_when_its_holder_dies() {
    let cluster = Cluster::with_replicas(2).await;
    let mut nodes = mortals(&cluster, ["a", "b", "c"]).await;
    let blobs = client(&cluster);
    let written = content(60_000_000);
    blobs.put("x/y", Content::bytes(written.clone())).await.expect("put");
    let (_, mut read) = blobs.get("x/y", Some(10..59_999_990)).await.expect("get");
    let mut got = read.next().await.expect("a first piece").expect("whole").to_vec();
    by_id(&mut nodes, &owners(&cluster, "x/y")[0]).kill();
    while let Some(piece) = read.next().await {
        got.extend_from_slice(&piece.expect("the other owner has it"));
    }
    assert!(got == written[10..59_999_990]);
    drop(nodes);
    cluster.stop().await;
}

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
async fn a_full_node_says_so_and_keeps_nothing() {
    let cluster = Cluster::with_replicas(2).await;
    let settings = |name| Settings {
        blob_max_bytes: ByteSize(1 << 20),
        ..hasty(&cluster, name)
    };
    let (a, b) = (cluster.mortal(settings("a")).await, cluster.mortal(settings("b")).await);
    let blobs = client(&cluster);
    let refused = blobs.put("x/large", Content::bytes(content(2_000_000))).await;
    let Err(Error::NoSpace(said)) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        said.starts_with("no space for blobs on node ") && said.contains("raise BLOB_MAX_BYTES"),
        "{said}"
    );
    assert_eq!(holders(&cluster, &["a", "b"], "x/large", &[]), [""; 0]);
    for node in ["a", "b"] {
        let incoming = cluster.directory.path().join(node).join("incoming");
        eventually("nothing half-written is left", || {
            std::fs::read_dir(&incoming).is_ok_and(|files| files.count() == 0)
        })
        .await;
    }
    blobs
        .put("x/small", Content::bytes(content(500_000)))
        .await
        .expect("there is room for less");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_goes_over_all_pages_of_all_nodes() {
    let cluster = Cluster::with_replicas(2).await;
    let scratch = store::blob::BlobStore::open(cluster.directory.path().join("a"))
        .await
        .expect("open");
    let name = store::blob::BlobName::try_new("x/model").expect("valid");
    let content = stream::once(async { Ok::<_, io::Error>(Bytes::from_static(b"y")) });
    scratch.put(&name, content).await.expect("put");
    let model = std::fs::read(file(&cluster, "a", "x/model")).expect("file");
    // As if they had been written long ago: thousands of syncs take their time.
    for node in ["b", "c"] {
        std::fs::create_dir_all(cluster.directory.path().join(node).join("blobs")).expect("directory");
    }
    for n in 0..4_000 {
        for node in [["b"].as_slice(), &["c"], &["b", "c"]][n % 3] {
            std::fs::write(file(&cluster, node, &format!("z/{n:05}")), &model).expect("write");
        }
    }
    let nodes = [
        cluster
            .mortal(Settings {
                blob_repair_after: HumanDuration(Duration::from_secs(600)),
                ..hasty(&cluster, "b")
            })
            .await,
        cluster
            .mortal(Settings {
                blob_repair_after: HumanDuration(Duration::from_secs(600)),
                ..hasty(&cluster, "c")
            })
            .await,
    ];
    let listed: Vec<_> = client(&cluster)
        .list("z/")
        .map(|info| info.expect("listed").name)
        .collect()
        .await;
    assert_eq!(listed.len(), 4_000);
    assert!(listed.is_sorted());
    drop(nodes);
    cluster.stop().await;
}
