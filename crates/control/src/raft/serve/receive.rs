//! A snapshot from the leader: written to disk as it comes in, checked whole, then taken over.

use std::io;
use std::sync::Arc;

use futures::StreamExt as _;
use openraft::Snapshot;
use openraft::type_config::TypeConfigExt as _;

use super::Endpoint;
use crate::raft::RaftStore;
use crate::raft::blocking::blocking;
use crate::raft::format::StoredVote;
use crate::raft::network::Body;
use crate::raft::network::message::{Answer, Call, Refusal, Reply, Request, SnapshotOffer};
use crate::raft::snapshot::SnapshotFile;
use crate::raft::types::TypeConfig;

impl Endpoint {
    /// Takes a snapshot in.
    pub(crate) async fn receive(&self, request: Request, body: Body) -> Answer {
        let from = request.from;
        let outcome = match self.admit(&request).await {
            Ok(store) => match request.call {
                Call::Snapshot(offer) => take_snapshot(store, offer, body).await,
                _ => Err(Refusal::NotReady("this is no snapshot".to_owned())),
            },
            Err(refusal) => Err(refusal),
        };
        self.sign(from, outcome)
    }
}

async fn take_snapshot(store: Arc<RaftStore>, offer: SnapshotOffer, body: Body) -> Result<Reply, Refusal> {
    let meta = offer.head.meta().map_err(|error| failed("makes no sense", &error))?;
    let written = store.write_down(body).await;
    let file = written.map_err(|error| failed("was not written down", &error))?;
    tracing::info!(upto = ?meta.last_log_id.map(|id| id.index), "a snapshot came in");
    // To its end, whoever gives up waiting: what is not taken over must not stay.
    let installing = TypeConfig::spawn(async move {
        let snapshot = Snapshot {
            meta,
            snapshot: file.clone(),
        };
        let installed = store.raft.install_full_snapshot(offer.vote.into(), snapshot).await;
        let snapshots = store.snapshots.clone();
        let forgotten = blocking(&**store.snapshots.disk(), move || snapshots.forget(&file)).await;
        forgotten.map_err(|error| failed("was not cleared away", &error))?;
        let response = installed.map_err(|error| failed("was not installed", &error))?;
        store.metrics.snapshot_received();
        Ok(Reply::Snapshot(StoredVote::from(&response.vote)))
    });
    installing
        .await
        .unwrap_or_else(|error| Err(failed("was not installed", &error)))
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::NotReady(format!("the snapshot {what}: {error}"))
}

impl RaftStore {
    async fn write_down(&self, mut body: Body) -> io::Result<SnapshotFile> {
        let (snapshots, disk) = (self.snapshots.clone(), Arc::clone(self.snapshots.disk()));
        let mut incoming = blocking(&*disk, move || snapshots.begin_receiving()).await??;
        while let Some(chunk) = body.next().await {
            let taken = blocking(&*disk, move || incoming.append(&chunk?).map(|()| incoming));
            incoming = taken.await??;
        }
        blocking(&*disk, move || incoming.finish()).await?
    }
}
