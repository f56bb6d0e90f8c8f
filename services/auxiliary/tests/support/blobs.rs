//! Blobs of a cluster of auxiliaries: who has to have them, and who has.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use auxiliary::Settings;
use blobs::{Content, NAMESPACE, Replicated};
use bytes::Bytes;
use futures::{StreamExt, stream};
use settings::{ByteSize, HumanDuration};

use super::{Cluster, Mortal};

/// A client of the cluster's blobs.
pub(crate) fn client(cluster: &Cluster) -> Replicated {
    Replicated::new(cluster.peers.clone(), Arc::clone(&cluster.view))
}

/// Settings with which blobs follow the ring at once.
pub(crate) fn hasty(cluster: &Cluster, name: &str) -> Settings {
    Settings {
        blob_repair_after: HumanDuration(Duration::from_millis(500)),
        blob_min_free: ByteSize(0),
        ..cluster.settings(name)
    }
}

pub(crate) async fn mortals<const N: usize>(cluster: &Cluster, names: [&str; N]) -> [Mortal; N] {
    let mut nodes = Vec::new();
    for name in names {
        nodes.push(cluster.mortal(hasty(cluster, name)).await);
    }
    nodes.try_into().unwrap_or_else(|_| panic!("as many as names"))
}

pub(crate) fn file(cluster: &Cluster, node: &str, blob: &str) -> PathBuf {
    cluster.directory.path().join(node).join("blobs").join(blob.replace('/', "+"))
}

/// Nodes with a file of the blob that holds this content.
pub(crate) fn holders(cluster: &Cluster, nodes: &[&str], blob: &str, content: &[u8]) -> Vec<String> {
    let holds = |node: &&&str| std::fs::read(file(cluster, node, blob)).is_ok_and(|file| file.starts_with(content));
    nodes.iter().filter(holds).map(|node| (*node).to_owned()).collect()
}

/// The owners of a blob by the ring as it is.
pub(crate) fn owners(cluster: &Cluster, blob: &str) -> Vec<String> {
    let snapshot = cluster.view.load();
    let owners = snapshot.routing().candidates(NAMESPACE, blob);
    owners.iter().take(2).map(|owner| owner.id.to_string()).collect()
}

pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), patience)
        .await
        .unwrap_or_else(|_| panic!("{what}"));
}

pub(crate) fn by_id<'a>(nodes: &'a mut [Mortal], id: &str) -> &'a mut Mortal {
    nodes.iter_mut().find(|node| node.id == id).expect("one of them")
}

/// A content whose second half is sent when the sender says so.
pub(crate) fn in_halves(content: &Bytes) -> (Content, tokio::sync::oneshot::Sender<()>) {
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
