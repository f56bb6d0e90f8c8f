//! Three nodes over a network in memory: the log, the machine and the leases hold under another's leadership, so that
//! several masters need a transport and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::OptionalSend;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::type_config::alias::SnapshotOf;
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::ControlStore as _;
use crate::raft::disk::OsDisk;
use crate::raft::machine::Machine;
use crate::raft::snapshot::SnapshotFile;
use crate::raft::tests::{eventually, put};
use crate::raft::types::{TypeConfig, Vote};
use crate::raft::{Peer, RaftOptions, RaftStore};
use crate::types::{Consistency, Range};

type Raft = openraft::Raft<TypeConfig, Machine>;

/// All nodes, and which of them are cut off.
#[derive(Debug, Clone, Default)]
struct Wires {
    nodes: Arc<Mutex<BTreeMap<u64, Raft>>>,
    cut: Arc<Mutex<BTreeSet<u64>>>,
}

#[derive(Clone)]
struct Node {
    id: u64,
    wires: Wires,
}

struct Wire {
    from: u64,
    to: u64,
    wires: Wires,
}

impl RaftNetworkFactory<TypeConfig> for Node {
    type Network = Wire;

    async fn new_client(&mut self, target: u64, _peer: &Peer) -> Wire {
        Wire {
            from: self.id,
            to: target,
            wires: self.wires.clone(),
        }
    }
}

impl Wire {
    fn peer(&self) -> Result<Raft, Unreachable<TypeConfig>> {
        let cut = self.wires.cut.lock();
        let peer = self.wires.nodes.lock().get(&self.to).cloned();
        peer.filter(|_| !cut.contains(&self.from) && !cut.contains(&self.to))
            .ok_or_else(|| Unreachable::from_string("the wire is cut"))
    }
}

fn refused(error: impl ToString) -> Unreachable<TypeConfig> {
    Unreachable::from_string(error)
}

impl RaftNetworkV2<TypeConfig> for Wire {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Ok(self.peer()?.append_entries(request).await.map_err(refused)?)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Ok(self.peer()?.vote(request).await.map_err(refused)?)
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Ok(self.peer()?.pre_vote(request).await.map_err(refused)?)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf<TypeConfig, SnapshotFile>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Ok(self.peer()?.install_full_snapshot(vote, snapshot).await.map_err(refused)?)
    }
}

struct Cluster {
    wires: Wires,
    dirs: BTreeMap<u64, TempDir>,
    stores: BTreeMap<u64, Arc<RaftStore>>,
}

impl Cluster {
    async fn start() -> Self {
        let dirs = (1..=3).map(|id| (id, tempfile::tempdir().unwrap())).collect();
        let mut cluster = Self {
            wires: Wires::default(),
            dirs,
            stores: BTreeMap::new(),
        };
        for id in 1..=3 {
            cluster.open(id).await;
        }
        cluster
    }

    async fn open(&mut self, id: u64) {
        let mut options = RaftOptions::new(self.dirs[&id].path(), id);
        options.peers = (1..=3)
            .filter(|peer| *peer != id)
            .map(|peer| (peer, Peer::default()))
            .collect();
        options.snapshot_entries = 30;
        options.heartbeat = Duration::from_millis(50);
        options.election_timeout = (Duration::from_millis(300), Duration::from_millis(600));
        options.request_timeout = Duration::from_secs(2);
        let network = Node {
            id,
            wires: self.wires.clone(),
        };
        let store = RaftStore::open_on(Arc::new(OsDisk), network, options).await.unwrap();
        self.wires.nodes.lock().insert(id, store.raft.clone());
        self.stores.insert(id, store);
    }

    /// The node through which a write passes.
    async fn leader(&self) -> Arc<RaftStore> {
        let mut leader = None;
        eventually("somebody leads", async || {
            for (id, store) in &self.stores {
                if !self.wires.cut.lock().contains(id) && store.put("probe", "".into(), None).await.is_ok() {
                    leader = Some(Arc::clone(store));
                }
            }
            leader.is_some()
        })
        .await;
        leader.unwrap()
    }

    async fn stop(self) {
        for store in self.stores.values() {
            store.shutdown().await.unwrap();
        }
    }
}

#[tokio::test]
async fn three_nodes_agree_and_outlive_their_leader() {
    let mut cluster = Cluster::start().await;
    let old = cluster.leader().await;
    let lease = old.lease_grant(Duration::from_secs(60)).await.unwrap();
    old.txn(put("leased", "v", Some(lease.id))).await.unwrap();
    for write in 0..20 {
        old.put(&format!("before/{write}"), "v".into(), None).await.unwrap();
    }
    let old_id = old.options.node_id;
    cluster.wires.cut.lock().insert(old_id);

    let new = cluster.leader().await;
    assert_ne!(new.options.node_id, old_id);
    assert!(
        old.put("lost", "v".into(), None).await.is_err(),
        "a leader without a quorum acknowledges nothing"
    );
    assert!(
        old.get("leased", Consistency::Linearizable).await.is_err(),
        "and answers no linearizable read"
    );
    assert_eq!(new.keep_alive(lease.id).await.unwrap(), lease.ttl);
    for write in 0..100 {
        new.put(&format!("after/{write}"), "v".into(), None).await.unwrap();
    }

    // The old leader has an entry that must give way, and has missed more than the others' logs still hold.
    cluster.wires.cut.lock().clear();
    let expected = new.range(Range::default(), Consistency::Linearizable).await.unwrap();
    for store in cluster.stores.values() {
        eventually("everybody has everything", async || {
            store.range(Range::default(), Consistency::Stale).await.unwrap().items == expected.items
        })
        .await;
    }

    // And again after a restart of a follower.
    let follower = if old_id == 1 { 2 } else { 1 };
    let follower = if follower == new.options.node_id { old_id } else { follower };
    cluster.wires.nodes.lock().remove(&follower);
    cluster.stores.remove(&follower).unwrap().shutdown().await.unwrap();
    cluster.leader().await.put("while away", "v".into(), None).await.unwrap();
    cluster.open(follower).await;
    eventually("the restarted node catches up", async || {
        cluster.stores[&follower]
            .get("while away", Consistency::Stale)
            .await
            .unwrap()
            .is_some()
    })
    .await;
    cluster.stop().await;
}
