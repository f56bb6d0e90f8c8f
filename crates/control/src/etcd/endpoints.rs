//! One channel per member of the cluster. The client's own balancing would spread calls over dead members as readily as
//! over live ones.
//!
//! Clients are made when they are first needed, and anew when this node's certificate is, or when etcd takes their token no more: to
//! make one for a user asks the member for a token, and the library waits for ever for one that is gone.

use std::sync::Arc;

use etcd_client::{Certificate, Client, ConnectOptions, Error as EtcdError, Identity as Shown, TlsOptions};
use parking_lot::Mutex;
use tls::{Files, Identity, Tls};
use tokio::time::timeout;

use super::EtcdOptions;
use super::classify::{classify, is_stale_token};
use crate::failover::{Failover, Failure, Repeat};
use crate::types::Consistency;
use crate::{Error, Result};

/// The members of the cluster.
pub(super) struct Endpoints {
    members: Vec<Member>,
    pub(super) failover: Failover,
    pub(super) options: EtcdOptions,
}

#[derive(Default)]
struct Member {
    clients: Mutex<Option<Clients>>,
    /// Held by the one who makes them.
    making: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Clients {
    /// What was shown when they were made.
    identity: Option<Arc<Identity>>,
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
        for endpoint in &options.endpoints {
            if is_encrypted(endpoint) && options.access.tls.is_none() {
                let reason =
                    format!("{endpoint} is encrypted: set ETCD_CERT, ETCD_KEY and ETCD_CA, or TLS_CERT, TLS_KEY and TLS_CA");
                return Err(Error::Invalid(reason));
            }
        }
        let endpoints = Self {
            members: options.endpoints.iter().map(|_| Member::default()).collect(),
            failover: Failover::new(options.endpoints.clone(), options.request_timeout),
            options,
        };
        for (endpoint, member) in endpoints.options.endpoints.iter().zip(&endpoints.members) {
            let wrong = |error| Error::Invalid(format!("{endpoint:?} is no etcd endpoint; write host:2379 ({error})"));
            // Connects to nobody yet.
            let clients = endpoints.make(endpoint, None).await.map_err(wrong)?;
            if endpoints.options.access.user.is_none() {
                *member.clients.lock() = Some(clients);
            }
        }
        Ok(endpoints)
    }

    /// The client of a member, for what needs a quorum.
    pub(super) async fn client(&self, member: usize) -> std::result::Result<Client, Failure> {
        Ok(self.clients(member).await?.with_quorum)
    }

    /// The client of a member, for what it can say without the others.
    pub(super) async fn alone(&self, member: usize) -> std::result::Result<Client, Failure> {
        Ok(self.clients(member).await?.alone)
    }

    /// Has the clients of a member made anew: it does not take their token.
    pub(super) fn forget(&self, member: usize) {
        if self.options.access.user.is_some() {
            *self.members[member].clients.lock() = None;
        }
    }

    /// Makes a call until it succeeds, fails for good, or the deadline is reached.
    pub(super) async fn call<T, F, C>(&self, repeat: Repeat, consistency: Consistency, call: C) -> Result<T>
    where
        C: Fn(Client) -> F,
        F: Future<Output = std::result::Result<T, EtcdError>>,
    {
        let call = &call;
        let attempt = |member: usize| async move {
            let client = match consistency {
                Consistency::Linearizable => self.client(member).await?,
                Consistency::Stale => self.alone(member).await?,
            };
            call(client).await.map_err(|error| {
                if is_stale_token(&error) {
                    self.forget(member);
                }
                classify(error, &self.options.endpoints[member])
            })
        };
        self.failover.call(repeat, attempt).await
    }

    async fn clients(&self, number: usize) -> std::result::Result<Clients, Failure> {
        let (member, endpoint) = (&self.members[number], &self.options.endpoints[number]);
        if let Some(clients) = self.current(member, endpoint) {
            return Ok(clients);
        }
        let _alone = member.making.lock().await;
        if let Some(clients) = self.current(member, endpoint) {
            return Ok(clients);
        }
        let patience = self.failover.attempt();
        let made = timeout(patience, self.make(endpoint, self.options.access.user.clone())).await;
        let silent = |_| {
            Error::Unavailable(format!(
                "etcd at {endpoint} does not say within {patience:?} who this node is to it"
            ))
        };
        let clients = made.map_err(silent)?.map_err(|error| classify(error, endpoint))?;
        *member.clients.lock() = Some(clients.clone());
        Ok(clients)
    }

    /// The clients of a member, if they show what this node has to show now.
    fn current(&self, member: &Member, endpoint: &str) -> Option<Clients> {
        let clients = member.clients.lock().clone()?;
        let now = self.tls_for(endpoint).map(Tls::identity);
        let same = match (&clients.identity, &now) {
            (Some(shown), Some(now)) => Arc::ptr_eq(shown, now),
            (None, None) => true,
            _ => false,
        };
        same.then_some(clients)
    }

    fn tls_for(&self, endpoint: &str) -> Option<&Tls> {
        self.options.access.tls.as_ref().filter(|_| is_encrypted(endpoint))
    }

    async fn make(&self, endpoint: &str, user: Option<(String, String)>) -> std::result::Result<Clients, EtcdError> {
        let options = &self.options;
        let mut connect = ConnectOptions::new()
            .with_connect_timeout(options.connect_timeout)
            .with_keep_alive(options.keep_alive, options.keep_alive)
            .with_keep_alive_while_idle(true);
        let tls = self.tls_for(endpoint);
        // Before the files are read: should they change meanwhile, the clients are made once more.
        let identity = tls.map(Tls::identity);
        if let Some(tls) = tls {
            connect = connect.with_tls(shown(tls.files())?);
        }
        if let Some((name, password)) = user {
            connect = connect.with_user(name, password).with_auto_token_refresh(true);
        }
        Ok(Clients {
            identity,
            with_quorum: Client::connect([endpoint], Some(connect.clone().with_require_leader(true))).await?,
            alone: Client::connect([endpoint], Some(connect)).await?,
        })
    }
}

fn is_encrypted(endpoint: &str) -> bool {
    endpoint.starts_with("https://")
}

/// Certificate and authorities as the library wants them.
fn shown(files: &Files) -> std::io::Result<TlsOptions> {
    let certificate = Shown::from_pem(std::fs::read(&files.certificate)?, std::fs::read(&files.key)?);
    let authorities = Certificate::from_pem(std::fs::read(&files.authorities)?);
    Ok(TlsOptions::new().identity(certificate).ca_certificate(authorities))
}
