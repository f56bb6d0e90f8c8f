//! Every message from another master comes in here, whatever network it came over.
//!
//! Before anything is done, it is made sure that the two belong to one cluster, that this node is the one meant, and that
//! the sender's data directory is the one that the membership names, or the one first met under its id, on record durably.

use std::sync::{Arc, Weak};

use openraft::async_runtime::WatchReceiver as _;
use parking_lot::RwLock;
use uuid::Uuid;

use crate::raft::RaftStore;
use crate::raft::contacts::Contacts;
use crate::raft::format::Position;
use crate::raft::identity::Identity;
use crate::raft::initial::{InitialMember, initial_id};
use crate::raft::network::message::{Answer, AskersPlace, Call, Hello, Refusal, Reply, Request, Welcome};
use crate::raft::types::Peer;

/// The node's side of every call.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) identity: Arc<Identity>,
    pub(crate) contacts: Arc<Contacts>,
    /// Whom this node would begin a cluster with.
    initial: Vec<InitialMember>,
    /// The engine, once it runs.
    store: RwLock<Weak<RaftStore>>,
}

impl Endpoint {
    pub(crate) fn new(identity: Arc<Identity>, contacts: Arc<Contacts>, initial: Vec<InitialMember>) -> Self {
        Self {
            identity,
            contacts,
            initial,
            store: RwLock::default(),
        }
    }

    /// The engine runs: what only it can answer is answered from here on.
    pub(crate) fn serve(&self, store: &Arc<RaftStore>) {
        *self.store.write() = Arc::downgrade(store);
    }

    /// The engine, once it runs.
    pub(crate) fn store(&self) -> Weak<RaftStore> {
        self.store.read().clone()
    }

    /// Answers a call; a snapshot comes in by [`Endpoint::receive`].
    pub(crate) async fn answer(&self, request: Request) -> Answer {
        let from = request.from;
        let outcome = self.outcome(request).await;
        self.sign(from, outcome)
    }

    async fn outcome(&self, request: Request) -> Result<Reply, Refusal> {
        if let Call::Hello(hello) = &request.call {
            return self.welcome(hello, &request).await.map(Reply::Hello);
        }
        let store = self.admit(&request).await?;
        store.reply(request.call).await
    }

    /// Puts this node's name under an answer.
    pub(super) fn sign(&self, to: u64, outcome: Result<Reply, Refusal>) -> Answer {
        let store = self.store.read().upgrade();
        Answer {
            id: self.identity.id(),
            store: self.identity.store(),
            full: store.as_ref().is_some_and(|store| store.log.is_full()),
            disowned: store.is_some_and(|store| store.disowns(to)),
            outcome,
        }
    }

    /// Makes sure that a message is for this node, and from where it says.
    pub(super) async fn admit(&self, request: &Request) -> Result<Arc<RaftStore>, Refusal> {
        let not_ready = || Refusal::NotReady("this master has not taken its place in the cluster yet".to_owned());
        let place = self.identity.place().ok_or_else(not_ready)?;
        if request.cluster != Some(place.cluster) {
            let text = format!("this master belongs to cluster {}, the sender does not", place.cluster);
            return Err(Refusal::Stranger(text));
        }
        if request.to != place.node_id {
            let text = format!(
                "this is {} ({:016x}), not {:016x}",
                self.identity.name(),
                place.node_id,
                request.to
            );
            return Err(Refusal::Stranger(text));
        }
        let store = self.store.read().upgrade().ok_or_else(not_ready)?;
        let known = match store.recorded(request.from) {
            Some(recorded) => recorded == request.store,
            None => self.meet(request.from, request.store).await?,
        };
        if !known {
            return Err(Refusal::Stranger(wiped("the sender")));
        }
        self.contacts.learn(request.from, &request.address);
        Ok(store)
    }

    async fn welcome(&self, hello: &Hello, request: &Request) -> Result<Welcome, Refusal> {
        let Some(place) = self.identity.place() else {
            if !self.meet(initial_id(&hello.name), request.store).await? {
                return Err(Refusal::Stranger(wiped(&hello.name)));
            }
            let initial = self.initial.clone();
            return Ok(Welcome::New { initial });
        };
        let (as_of, members) = self.members(&place.initial);
        let entry = members.iter().find(|(_, peer)| peer.name == hello.name);
        let place_of_asker = match entry {
            None => AskersPlace::Unknown,
            Some((id, peer)) => {
                let known = match peer.store {
                    Some(recorded) => recorded == request.store,
                    None => self.meet(*id, request.store).await?,
                };
                if known {
                    AskersPlace::Member { id: *id }
                } else {
                    AskersPlace::Taken
                }
            }
        };
        let members = members.into_iter().map(|(id, Peer { name, address, .. })| {
            let address = self.contacts.address(id).unwrap_or(address);
            (id, InitialMember { name, address })
        });
        Ok(Welcome::Member {
            cluster: place.cluster,
            place: place_of_asker,
            as_of,
            members: members.collect(),
        })
    }

    /// The members, from the log, and which entry of it says so; those the cluster begins with while the log is not there yet.
    fn members(&self, initial: &[InitialMember]) -> (Option<Position>, Vec<(u64, Peer)>) {
        if let Some(store) = self.store.read().upgrade() {
            let metrics = store.raft.metrics();
            let metrics = metrics.borrow_watched();
            let known: Vec<_> = metrics
                .membership_config
                .nodes()
                .map(|(id, peer)| (*id, peer.clone()))
                .collect();
            if !known.is_empty() {
                return (metrics.membership_config.log_id().map(Position::from), known);
            }
        }
        let first = initial.iter().map(|member| {
            let peer = Peer {
                name: member.name.clone(),
                address: member.address.clone(),
                store: None,
            };
            (member.id(), peer)
        });
        (None, first.collect())
    }

    async fn meet(&self, id: u64, store: Uuid) -> Result<bool, Refusal> {
        let met = self.identity.meet(id, store).await;
        met.map_err(|error| Refusal::NotReady(error.to_string()))
    }
}

/// What to do about a member without its data.
pub(crate) fn wiped(name: &str) -> String {
    format!(
        "{name} is known with another data directory, and must not vote again without it. \
         Give it its RAFT_DIR back; or, when that is lost: `elasticore cluster remove {name}`, `elasticore cluster add {name} ADDRESS`, and start it again with an empty RAFT_DIR"
    )
}
