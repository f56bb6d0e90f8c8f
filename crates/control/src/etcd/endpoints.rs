//! One channel per member of the cluster. The client's own balancing would spread calls over dead members as readily as
//! over live ones.

use etcd_client::{Client, ConnectOptions, Error as EtcdError};

use super::EtcdOptions;
use super::classify::classify;
use crate::failover::{Failover, Repeat};
use crate::types::Consistency;
use crate::{Error, Result};

/// The members of the cluster.
pub(super) struct Endpoints {
    members: Vec<Member>,
    pub(super) failover: Failover,
    pub(super) options: EtcdOptions,
}

struct Member {
    /// Refuses at once when the member knows no raft leader.
    with_quorum: Client,
    /// Answers all the same, from what it has.
    alone: Client,
}

impl Endpoints {
    pub(super) async fn new(options: EtcdOptions) -> Result<Self> {
        if options.endpoints.is_empty() {
            return Err(Error::Invalid(
                "no etcd endpoint is given; set ETCD_ENDPOINTS=host:2379".to_owned(),
            ));
        }
        let connect = ConnectOptions::new()
            .with_connect_timeout(options.connect_timeout)
            .with_keep_alive(options.keep_alive, options.keep_alive)
            .with_keep_alive_while_idle(true);
        let mut members = Vec::with_capacity(options.endpoints.len());
        for endpoint in &options.endpoints {
            let client = async |connect| {
                let connected = Client::connect([endpoint], Some(connect)).await;
                connected.map_err(|error| Error::Invalid(format!("{endpoint:?} is no etcd endpoint; write host:2379 ({error})")))
            };
            members.push(Member {
                with_quorum: client(connect.clone().with_require_leader(true)).await?,
                alone: client(connect.clone()).await?,
            });
        }
        Ok(Self {
            members,
            failover: Failover::new(options.endpoints.clone(), options.request_timeout),
            options,
        })
    }

    /// The client of a member, for what needs a quorum.
    pub(super) fn client(&self, member: usize) -> &Client {
        &self.members[member].with_quorum
    }

    /// Makes a call until it succeeds, fails for good, or the deadline is reached.
    pub(super) async fn call<'a, T, F, C>(&'a self, repeat: Repeat, consistency: Consistency, call: C) -> Result<T>
    where
        C: Fn(&'a Client) -> F,
        F: Future<Output = std::result::Result<T, EtcdError>>,
    {
        let attempt = |member: usize| {
            let member = &self.members[member];
            let answer = call(match consistency {
                Consistency::Linearizable => &member.with_quorum,
                Consistency::Stale => &member.alone,
            });
            async move { answer.await.map_err(classify) }
        };
        self.failover.call(repeat, attempt).await
    }
}
