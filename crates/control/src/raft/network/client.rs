//! Calls to other masters: each says who asks, and each answer is checked to come from the one who was meant.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::message::{Call, Refusal, Reply, VERSION};
use super::{Answer, Body, Network, NetworkError, Request};
use crate::raft::contacts::Contacts;
use crate::raft::identity::Identity;
use crate::raft::initial::InitialMember;
use crate::raft::types::Peer;

/// Why a call has no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// Certainly not executed.
    #[error("{0}")]
    NotSent(String),
    /// Outcome unknown.
    #[error("{0}")]
    Unknown(String),
    /// Certainly not executed: the other one says why.
    #[error("{0}")]
    Refused(Refusal),
}

/// Calls other masters in the name of this node.
#[derive(Debug)]
pub(crate) struct Client {
    network: Arc<dyn Network>,
    identity: Arc<Identity>,
    contacts: Arc<Contacts>,
    /// Addresses in the settings, by the ids of those who begin the cluster.
    listed: BTreeMap<u64, String>,
}

impl Client {
    pub(crate) fn new(
        network: Arc<dyn Network>,
        identity: Arc<Identity>,
        contacts: Arc<Contacts>,
        initial_cluster: &[InitialMember],
    ) -> Self {
        let listed = initial_cluster.iter().map(|member| (member.id(), member.address.clone()));
        Self {
            network,
            identity,
            contacts,
            listed: listed.collect(),
        }
    }

    /// Asks a master; `peer` is what the membership says of it.
    pub(crate) async fn call(&self, to: u64, peer: &Peer, call: Call, deadline: Duration) -> Result<Reply, CallError> {
        let address = self.address_of(to, peer);
        let answer = self.network.call(&address, self.request(to, call), deadline).await;
        self.judge(to, peer, &address, answer).await
    }

    /// Asks a master, and sends a snapshot along.
    pub(crate) async fn send(
        &self,
        to: u64,
        peer: &Peer,
        call: Call,
        body: Body,
        deadline: Duration,
    ) -> Result<Reply, CallError> {
        let address = self.address_of(to, peer);
        let answer = self.network.send(&address, self.request(to, call), body, deadline).await;
        self.judge(to, peer, &address, answer).await
    }

    /// Asks whoever is at an address.
    pub(crate) async fn ask(&self, address: &str, call: Call, deadline: Duration) -> Result<Answer, NetworkError> {
        self.network.call(address, self.request(0, call), deadline).await
    }

    fn address_of(&self, to: u64, peer: &Peer) -> String {
        self.contacts.address(to).unwrap_or_else(|| peer.address.clone())
    }

    /// Where this node says that it is: only what was meant for others to see, never a default, and only if the settings mean
    /// this member: one that was removed and added again is another one than they name.
    pub(crate) fn announced(&self) -> String {
        self.listed.get(&self.identity.id()).cloned().unwrap_or_default()
    }

    fn request(&self, to: u64, call: Call) -> Request {
        Request {
            version: VERSION,
            cluster: self.identity.cluster(),
            from: self.identity.id(),
            store: self.identity.store(),
            address: self.announced(),
            to,
            call,
        }
    }

    /// Nothing is taken from a data directory other than the one that the membership names, or the one first met under that
    /// id. What a candidate counts comes through here: its membership names the directory of every voter.
    async fn judge(&self, to: u64, peer: &Peer, address: &str, answer: Result<Answer, NetworkError>) -> Result<Reply, CallError> {
        let answer = answer.map_err(|error| {
            if self.contacts.failed(to) {
                tracing::warn!(name = peer.name, address, %error, "another master does not answer");
            }
            match error {
                NetworkError::NotSent(text) => CallError::NotSent(text),
                NetworkError::Unknown(text) => CallError::Unknown(text),
            }
        })?;
        if let Err(refusal @ Refusal::Stranger(_)) = answer.outcome {
            if self.contacts.refused(to, &refusal.to_string()) {
                tracing::warn!(address, %refusal, "another master turns this one away");
            }
            return Err(CallError::Refused(refusal));
        }
        if answer.id != to {
            self.contacts.failed(to);
            if let Err(refusal @ Refusal::NotReady(_)) = answer.outcome {
                return Err(CallError::Refused(refusal));
            }
            return Err(CallError::Unknown(format!("another master answers at {address}")));
        }
        let known = match peer.store {
            Some(store) => Ok(store == answer.store),
            None => self.identity.meet(to, answer.store).await,
        };
        match known {
            Ok(true) => {}
            Ok(false) => {
                self.contacts.failed(to);
                return Err(CallError::Unknown(format!(
                    "the master at {address} has lost its data directory; `elasticore cluster remove` it and `cluster add` it again"
                )));
            }
            Err(error) => return Err(CallError::Unknown(error.to_string())),
        }
        if self.contacts.answered(to, answer.full, answer.disowned) {
            tracing::info!(name = peer.name, address, "another master answers again");
        }
        answer.outcome.map_err(CallError::Refused)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use uuid::Uuid;

    use super::*;
    use crate::raft::disk::OsDisk;

    const PEER: u64 = 7;

    /// Answers to everything that it read up to 0, from a data directory.
    #[derive(Debug)]
    struct Answers(Uuid);

    #[async_trait]
    impl Network for Answers {
        async fn call(&self, _address: &str, _request: Request, _deadline: Duration) -> Result<Answer, NetworkError> {
            Ok(Answer {
                id: PEER,
                store: self.0,
                full: false,
                disowned: false,
                outcome: Ok(Reply::ReadIndex(0)),
            })
        }

        async fn send(&self, address: &str, request: Request, _body: Body, deadline: Duration) -> Result<Answer, NetworkError> {
            self.call(address, request, deadline).await
        }
    }

    /// What comes of a call to a peer of which the membership says this, by a node that has never met it.
    async fn called(answers: Uuid, store: Option<Uuid>) -> Result<Reply, CallError> {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::open(Arc::new(OsDisk), dir.path(), "a").unwrap();
        let client = Client::new(
            Arc::new(Answers(answers)),
            Arc::new(identity),
            Arc::new(Contacts::default()),
            &[],
        );
        let peer = Peer {
            name: "b".to_owned(),
            address: "b:9000".to_owned(),
            store,
        };
        client.call(PEER, &peer, Call::ReadIndex, Duration::from_secs(1)).await
    }

    /// A voter that has lost its disk, and a candidate that had never met it before: together they would be a majority.
    #[tokio::test]
    async fn who_was_never_met_is_still_known_by_the_membership() {
        let (before, after) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(called(before, Some(before)).await.is_ok());
        let refused = called(after, Some(before)).await;
        assert!(
            matches!(&refused, Err(CallError::Unknown(text)) if text.contains("lost its data directory")),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn a_learner_is_known_by_the_first_meeting() {
        assert!(called(Uuid::from_u128(1), None).await.is_ok());
    }
}
