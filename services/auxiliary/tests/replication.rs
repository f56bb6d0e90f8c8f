//! Blobs with copies: what clients are promised while nodes die, come and go, and disks lie.

mod support;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use auxiliary::Settings;
use blobs::conformance::{check_all, content};
use blobs::{BlobStore, Content, Error};
use bytes::Bytes;
use futures::{StreamExt, stream};
use settings::{ByteSize, HumanDuration};
use support::Cluster;
use support::blobs::{by_id, client, eventually, file, hasty, holders, in_halves, mortals, owners};

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
    // The other owner may just be giving up what it was sent of the large one, which took its room.
    let room = async {
        while let Err(error) = blobs.put("x/small", Content::bytes(content(500_000))).await {
            assert!(matches!(error, Error::NoSpace(_)), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), room)
        .await
        .expect("there is room for less");
    drop((a, b));
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
