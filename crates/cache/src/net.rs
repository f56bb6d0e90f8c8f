//! The seams as processes have them: the control store's view of the ring, and framed connections to other nodes.

use std::sync::Arc;
use std::time::Duration;

use api::{Epoch, ErrorCode};
use async_trait::async_trait;
use bytes::Bytes;
use cluster::{Owner, Routing, Snapshot, View};
use tokio_util::sync::CancellationToken;
use transport::frames::{Call, FrameClient};
use transport::peer::PeerError;

use crate::{CallError, Kind, Peers, Rings};

/// The ring as the control store has it.
#[derive(Debug)]
pub struct ViewRings(pub Arc<View>);

#[async_trait]
impl Rings for ViewRings {
    fn routing(&self) -> Arc<Routing> {
        Arc::clone(self.0.load().routing())
    }

    fn is_current(&self, routing: &Arc<Routing>) -> bool {
        Arc::ptr_eq(self.0.load().routing(), routing)
    }

    async fn changed(&self, routing: &Arc<Routing>) {
        self.0.wait_for(|snapshot| !Arc::ptr_eq(snapshot.routing(), routing)).await;
    }

    async fn catch_up(&self, epoch: Epoch) {
        if let Err(error) = self.0.catch_up(epoch).await {
            tracing::warn!(%epoch, %error, "cannot look up a newer ring");
        }
    }
}

/// Calls over framed connections.
#[derive(Debug)]
pub struct FramePeers(pub FrameClient);

#[async_trait]
impl Peers for FramePeers {
    async fn call(&self, to: &Owner, kind: Kind, epoch: Epoch, body: Bytes, deadline: Duration) -> Result<Bytes, CallError> {
        let call = Call {
            kind: kind as u8,
            epoch,
            boot_id: to.boot_id,
        };
        self.0.call(&to.address, call, body, deadline).await.map_err(|error| {
            let detail = error.to_string();
            match (&error, error.code()) {
                (PeerError::Answered { .. }, ErrorCode::Conflict) => CallError::Refused(detail),
                (PeerError::Unreachable { .. }, _) | (_, ErrorCode::Unavailable | ErrorCode::RateLimited) => {
                    CallError::NotExecuted(detail)
                }
                (PeerError::NoAnswer { .. } | PeerError::Malformed { .. }, _) | (_, ErrorCode::Timeout) => {
                    CallError::Unknown(detail)
                }
                (PeerError::Answered { .. }, code) => CallError::Failed(code, detail),
            }
        })
    }
}

/// Closes the connections to nodes that leave, until `stop`. A node of the ring whose lease has lapsed is still called.
pub async fn forget_departed(view: &View, frames: &FrameClient, stop: CancellationToken) {
    let mut changes = view.subscribe();
    let forgetting = async {
        loop {
            let snapshot = Arc::clone(&changes.borrow_and_update());
            frames.retain(|address| is_known(&snapshot, address));
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = forgetting => {}
        () = stop.cancelled() => {}
    }
}

fn is_known(snapshot: &Snapshot, address: &str) -> bool {
    let routing = snapshot.routing();
    let in_ring = routing.nodes().filter_map(|index| routing.node(index));
    let registered = snapshot.members().map(|member| member.address.as_str());
    registered
        .chain(in_ring.map(|owner| owner.address.as_str()))
        .any(|known| known == address)
}
