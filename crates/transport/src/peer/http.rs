//! The HTTP library's client, made anew when this node's certificate is, or whom it trusts: what is under way goes on as it began, and no
//! call begins on a connection from before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tls::{Identity, Tls};
use tracing::error;

use super::PeerPolicy;

/// Time for which idle connections are kept.
const IDLE: Duration = Duration::from_secs(60);
/// Longest time for which encrypted connections are used: the certificate of a peer is looked at when one begins, and may end.
const LONGEST: Duration = Duration::from_secs(600);

/// Pooled connections to peers: encrypted when there is an identity to show.
#[derive(Debug)]
pub(super) struct Http {
    policy: PeerPolicy,
    tls: Option<Tls>,
    made: ArcSwap<Made>,
}

#[derive(Debug)]
struct Made {
    identity: Option<Arc<Identity>>,
    client: reqwest::Client,
    at: Instant,
}

impl Http {
    /// # Panics
    /// When the library's client cannot be made, which with these constant options is a bug.
    pub(super) fn new(policy: PeerPolicy, tls: Option<Tls>) -> Self {
        let identity = tls.as_ref().map(Tls::identity);
        let client = make(&policy, identity.as_deref()).expect("the options are constants");
        Self {
            policy,
            tls,
            made: ArcSwap::from_pointee(Made {
                identity,
                client,
                at: Instant::now(),
            }),
        }
    }

    /// The client for a call that begins now.
    pub(super) fn client(&self) -> reqwest::Client {
        let made = self.made.load();
        let (Some(tls), Some(shown)) = (&self.tls, &made.identity) else {
            return made.client.clone();
        };
        let identity = tls.identity();
        if Arc::ptr_eq(shown, &identity) && made.at.elapsed() < LONGEST {
            return made.client.clone();
        }
        match make(&self.policy, Some(&identity)) {
            Ok(client) => {
                let identity = Some(identity);
                self.made.store(Arc::new(Made {
                    identity,
                    client: client.clone(),
                    at: Instant::now(),
                }));
                client
            }
            Err(error) => {
                error!(%error, "no client can be made for the new certificate; going on with the old one");
                made.client.clone()
            }
        }
    }

    /// What is spoken to peers: the one place that says so.
    pub(super) const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Who this node is to peers, if it speaks TLS to them.
    pub(super) const fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }
}

fn make(policy: &PeerPolicy, identity: Option<&Identity>) -> reqwest::Result<reqwest::Client> {
    let backend = identity.map_or_else(tls::backend_of_plain_clients, |identity| identity.client().as_ref().clone());
    reqwest::Client::builder()
        .connect_timeout(policy.connect_timeout)
        .pool_max_idle_per_host(policy.idle_connections)
        .pool_idle_timeout(IDLE)
        .tcp_nodelay(true)
        .no_proxy()
        .tls_backend_preconfigured(backend)
        .redirect(reqwest::redirect::Policy::none())
        .build()
}
