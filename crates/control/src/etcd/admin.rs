//! What an etcd cluster says of itself: members and their state. Changes are for etcd's own tools.

use std::time::Duration;

use etcd_client::{Client, Error as EtcdError};
use futures::future::join_all;
use tokio::time::timeout;

use super::EtcdOptions;
use super::classify::{classify, is_stale_token};
use super::endpoints::Endpoints;
use crate::etcd_view::{EtcdMember, EtcdView};
use crate::{Error, EtcdAccess, Result};

/// Longest wait for one member; one that is dead must not hold up what the others say.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks an etcd cluster how it is.
pub struct EtcdAdmin {
    endpoints: Box<Endpoints>,
}

/// What one member says.
struct Said {
    member: u64,
    leader: u64,
    term: u64,
    index: u64,
    applied: u64,
    revision: u64,
    db_bytes: u64,
    db_quota: u64,
}

impl EtcdAdmin {
    /// Prepares a channel to each member; connections are opened when first needed.
    ///
    /// # Errors
    /// [`Error::Invalid`] for endpoints that are none.
    pub async fn connect(endpoints: &[String], access: &EtcdAccess) -> Result<Self> {
        let options = EtcdOptions {
            connect_timeout: PATIENCE / 2,
            access: access.clone(),
            ..EtcdOptions::new(endpoints.to_vec())
        };
        Ok(Self {
            endpoints: Box::new(Endpoints::new(options).await?),
        })
    }

    /// Members, and what those that answer say.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when none answers.
    pub async fn view(&self) -> Result<EtcdView> {
        let said: Vec<Answer<Said>> = join_all(self.numbered().map(|(member, endpoint)| self.status(member, endpoint))).await;
        let (mut view, mut silent) = (self.members().await?, Vec::new());
        for answer in said {
            match answer {
                Ok(said) => view.heard(&said),
                Err(reason) => silent.push(reason),
            }
        }
        if view.heard_from == 0 {
            return Err(Error::Unavailable(silent.join("; ")));
        }
        Ok(view)
    }

    /// Whoever answers first, in order.
    async fn members(&self) -> Result<EtcdView> {
        let mut silent = Vec::new();
        for (member, endpoint) in self.numbered() {
            match self
                .within(member, endpoint, async |client| client.cluster_client().member_list().await)
                .await
            {
                Ok(listed) => {
                    let cluster_id = listed.header().map_or(0, etcd_client::ResponseHeader::cluster_id);
                    let member = |member: &etcd_client::Member| EtcdMember {
                        id: member.id(),
                        name: member.name().to_owned(),
                        address: member.peer_urls().first().cloned().unwrap_or_default(),
                        is_learner: member.is_learner(),
                        index: None,
                    };
                    return Ok(EtcdView {
                        cluster_id,
                        members: listed.members().iter().map(member).collect(),
                        ..EtcdView::default()
                    });
                }
                Err(reason) => silent.push(reason),
            }
        }
        Err(Error::Unavailable(silent.join("; ")))
    }

    async fn status(&self, member: usize, endpoint: &str) -> Answer<Said> {
        let asked = self.within(member, endpoint, async |client| client.maintenance_client().status().await);
        let status = asked.await?;
        let header = status.header();
        let positive = |number: i64| u64::try_from(number).unwrap_or_default();
        Ok(Said {
            member: header.map_or(0, etcd_client::ResponseHeader::member_id),
            leader: status.leader(),
            term: status.raft_term(),
            index: status.raft_index(),
            applied: status.raft_applied_index(),
            revision: header.map_or(0, |header| positive(header.revision())),
            db_bytes: positive(status.db_size()),
            db_quota: positive(status.db_size_quota()),
        })
    }

    async fn within<T>(
        &self,
        member: usize,
        endpoint: &str,
        call: impl AsyncFnOnce(Client) -> std::result::Result<T, EtcdError>,
    ) -> Answer<T> {
        let answer = timeout(PATIENCE, async {
            let client = self.endpoints.alone(member).await?;
            call(client).await.map_err(|error| {
                if is_stale_token(&error) {
                    self.endpoints.forget(member);
                }
                classify(error, endpoint)
            })
        });
        let answer = answer
            .await
            .map_err(|_| format!("{endpoint} does not answer within {PATIENCE:?}"))?;
        answer.map_err(|failure| match failure.error {
            Error::Unavailable(reason) | Error::Timeout(reason) => reason,
            other => format!("{endpoint}: {other}"),
        })
    }

    fn numbered(&self) -> impl Iterator<Item = (usize, &String)> {
        self.endpoints.options.endpoints.iter().enumerate()
    }
}

impl EtcdView {
    fn heard(&mut self, said: &Said) {
        self.heard_from += 1;
        if let Some(member) = self.members.iter_mut().find(|member| member.id == said.member) {
            member.index = Some(said.index);
        }
        // Of several who name a leader, whoever is in the newest term is right.
        if said.term > self.term || (said.term == self.term && self.leader.is_none()) {
            self.leader = Some(said.leader).filter(|leader| *leader != 0);
        }
        self.term = self.term.max(said.term);
        self.index = self.index.max(said.index);
        self.applied = self.applied.max(said.applied);
        self.revision = self.revision.max(said.revision);
        self.db_bytes = self.db_bytes.max(said.db_bytes);
        self.db_quota = self.db_quota.max(Some(said.db_quota).filter(|quota| *quota > 0));
    }
}

/// What a member answers, or why it does not.
type Answer<T> = std::result::Result<T, String>;

impl std::fmt::Debug for EtcdAdmin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let endpoints = &self.endpoints.options.endpoints;
        f.debug_struct("EtcdAdmin").field("endpoints", endpoints).finish()
    }
}
