//! What a node has before it takes part, and as long as it does: who it is, whom it knows, and the ways to and from them.

use std::sync::Arc;

use tokio::sync::watch;

use super::contacts::Contacts;
use super::identity::Identity;
use super::initial::InitialMember;
use super::network::Client;
use super::serve::Endpoint;
use super::types::Peer;

/// A node's side of the cluster.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) identity: Arc<Identity>,
    pub(crate) contacts: Arc<Contacts>,
    pub(crate) client: Arc<Client>,
    pub(crate) endpoint: Arc<Endpoint>,
    /// What the node waits for before it takes part.
    pub(crate) waiting: watch::Sender<Option<String>>,
}

impl Local {
    /// An initial member as the first membership has it, with the data directory that was met when the cluster was formed.
    pub(crate) fn first_peer(&self, member: &InitialMember) -> Peer {
        let id = member.id();
        let store = if id == self.identity.id() {
            Some(self.identity.store())
        } else {
            self.identity.met(id)
        };
        Peer {
            name: member.name.clone(),
            address: member.address.clone(),
            store,
        }
    }
}
