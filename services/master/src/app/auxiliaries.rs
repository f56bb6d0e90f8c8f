//! Asking several auxiliaries the same: what concerns more than one key goes to all of them, in JSON.
//!
//! Each call has a deadline of its own and all run at once, so a silent node costs one deadline, whatever the number of nodes.

use std::sync::Arc;
use std::time::Duration;

use api::cache::NodeStatus;
use api::member::Role;
use api::operations::{SyncTotals, Unanswered};
use api::{Epoch, NodeId};
use cluster::{Routing, View};
use futures::future::join_all;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use transport::peer::{PeerClient, PeerError, PeerRequest, Retry};

/// Longest wait for what nodes say of themselves.
const STATUS_DEADLINE: Duration = Duration::from_millis(300);

/// Calls of auxiliaries.
#[derive(Debug, Clone)]
pub struct Auxiliaries {
    view: Arc<View>,
    peers: PeerClient,
}

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Its name.
    pub id: NodeId,
    /// `host:port`; none for a node of the ring that nobody knows how to call.
    pub address: Option<String>,
}

/// What a node said.
#[derive(Debug)]
pub struct Reply<T> {
    /// The node.
    pub node: NodeId,
    /// Its answer.
    pub answer: Result<T, PeerError>,
}

impl<T> Reply<T> {
    /// That it did not answer, if so.
    #[must_use]
    pub fn unanswered(&self) -> Option<Unanswered> {
        let error = self.answer.as_ref().err()?.to_string();
        let node = self.node.clone();
        Some(Unanswered { node, error })
    }
}

impl Auxiliaries {
    /// Of this view.
    #[must_use]
    pub const fn new(view: Arc<View>, peers: PeerClient) -> Self {
        Self { view, peers }
    }

    /// The ring now.
    #[must_use]
    pub fn routing(&self) -> Arc<Routing> {
        Arc::clone(self.view.load().routing())
    }

    /// What this master knows of the cluster.
    #[must_use]
    pub const fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// The client they are called with.
    #[must_use]
    pub const fn peers(&self) -> &PeerClient {
        &self.peers
    }

    /// Everybody with a part in the ring, by name.
    #[must_use]
    pub fn in_ring(routing: &Routing) -> Vec<Target> {
        let serving = routing.nodes().filter(|index| routing.is_serving(*index));
        let mut targets: Vec<Target> = serving
            .filter_map(|index| {
                Some(Target {
                    id: routing.name(index)?.clone(),
                    address: routing.node(index).map(|owner| owner.address.clone()),
                })
            })
            .collect();
        targets.sort();
        targets
    }

    /// Everybody who is registered, in the ring or not, by name.
    #[must_use]
    pub fn registered(&self) -> Vec<Target> {
        let snapshot = self.view.load();
        let members = snapshot.with_role(Role::Auxiliary);
        members
            .map(|member| Target {
                id: member.id.clone(),
                address: Some(member.address.clone()),
            })
            .collect()
    }

    /// Asks all of them at once. `request` says what, of the node at an address.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        targets: &[Target],
        deadline: Duration,
        request: impl Fn(&PeerClient, &str) -> PeerRequest,
    ) -> Vec<Reply<T>> {
        let asked = targets.iter().map(|target| {
            let request = target.address.as_ref().map(|address| request(&self.peers, address));
            async move {
                Reply {
                    node: target.id.clone(),
                    answer: answer(target, request, deadline).await,
                }
            }
        });
        join_all(asked).await
    }

    /// What nodes say of themselves. Whoever does not do so at once is not waited for.
    pub async fn status(&self, targets: &[Target]) -> Vec<Reply<NodeStatus>> {
        self.ask(targets, STATUS_DEADLINE, |peers, address| {
            // A look must neither be stopped by a breaker nor close it to others.
            peers
                .get(address, "/internal/v1/cache/status")
                .retry(Retry::Never)
                .unguarded()
        })
        .await
    }

    /// How far the last range syncs of the nodes in the ring are: those of epoch `since` and later, without one the newest.
    pub async fn sync_totals(&self, since: Option<Epoch>) -> SyncTotals {
        let replies = self.status(&Self::in_ring(&self.routing())).await;
        let progress: Vec<_> = replies.into_iter().filter_map(|reply| reply.answer.ok()?.sync).collect();
        SyncTotals::of(&progress, since)
    }
}

async fn answer<T: DeserializeOwned>(target: &Target, request: Option<PeerRequest>, deadline: Duration) -> Result<T, PeerError> {
    let Some(request) = request else {
        return Err(PeerError::Unreachable {
            peer: target.id.to_string(),
            detail: "it is not registered".to_owned(),
        });
    };
    // The client's own deadline ends with the head of the answer.
    let asked = async { request.deadline(deadline).send().await?.json().await };
    timeout(deadline, asked).await.unwrap_or_else(|_| {
        Err(PeerError::NoAnswer {
            peer: target.id.to_string(),
            detail: format!("nothing within {deadline:?}"),
        })
    })
}
