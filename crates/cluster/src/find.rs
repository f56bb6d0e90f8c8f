//! Finding the control store: what a node that is no master does first.

use std::sync::Arc;
use std::time::Duration;

use control::{ControlSettings, ControlStore, EtcdAccess};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};
use transport::peer::PeerClient;

use crate::{ControlEndpoints, Error, join};

/// Longest wait for a master or the control store: the whole stack may be starting.
const WAIT: Duration = Duration::from_secs(60);
/// Pause between attempts.
const RETRY: Duration = Duration::from_millis(500);

/// Which engine keeps the control store (`CONTROL_STORE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ControlEngine {
    /// Built in: the masters keep it.
    #[default]
    Raft,
    /// An etcd cluster keeps it.
    Etcd,
}

/// What a node knows of its cluster at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whereabouts {
    /// `MASTER_ADDRESS`: any master will tell the rest.
    Master(String),
    /// The control store itself.
    Control(ControlEndpoints),
}

/// Nothing says where the cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "nothing says where the cluster is: set MASTER_ADDRESS (host:port of any master), or CONTROL_STORE=raft with MASTERS, or \
     CONTROL_STORE=etcd with ETCD_ENDPOINTS"
)]
pub struct Nowhere;

impl Whereabouts {
    /// As settings have it: the address of a master goes before the engine of the control store and where it is.
    ///
    /// # Errors
    /// [`Nowhere`] when there are no addresses.
    pub fn of_settings(
        master: Option<&str>,
        engine: ControlEngine,
        masters: &[String],
        etcd_endpoints: &[String],
    ) -> Result<Self, Nowhere> {
        let control = match (master, engine) {
            (Some(address), _) => return Ok(Self::Master(address.to_owned())),
            (None, ControlEngine::Raft) if !masters.is_empty() => ControlEndpoints::Remote {
                masters: masters.to_vec(),
            },
            (None, ControlEngine::Etcd) if !etcd_endpoints.is_empty() => ControlEndpoints::Etcd {
                endpoints: etcd_endpoints.to_vec(),
            },
            (None, _) => return Err(Nowhere),
        };
        Ok(Self::Control(control))
    }
}

/// Finds the control store and opens it; waits for it, within bounds. etcd is shown what it is given.
///
/// # Errors
/// [`Error::Join`] or [`Error::ControlSilent`] when nobody answers for a minute, and what is certain to fail again at once.
pub async fn find_control(
    whereabouts: &Whereabouts,
    peers: &PeerClient,
    etcd: &EtcdAccess,
) -> Result<Arc<dyn ControlStore>, Error> {
    let endpoints = match whereabouts {
        Whereabouts::Master(address) => ask_master(peers, address).await?,
        Whereabouts::Control(endpoints) => endpoints.clone(),
    };
    let (at, settings) = match endpoints {
        ControlEndpoints::Etcd { endpoints } => {
            let access = etcd.clone();
            (endpoints.join(", "), ControlSettings::Etcd { endpoints, access })
        }
        ControlEndpoints::Remote { masters } => (
            masters.join(", "),
            ControlSettings::Remote {
                client: peers.clone(),
                masters,
            },
        ),
    };
    let opened = timeout(WAIT, control::connect(settings)).await;
    Ok(opened.map_err(|_| Error::ControlSilent { at, waited: WAIT })??)
}

/// Masters may still be starting; one that answers and refuses will refuse again.
async fn ask_master(peers: &PeerClient, address: &str) -> Result<ControlEndpoints, Error> {
    let give_up = Instant::now() + WAIT;
    loop {
        match join(peers, address).await {
            Ok(answer) => return Ok(answer.control),
            Err(error) if error.is_final() || Instant::now() >= give_up => return Err(error),
            Err(error) => tracing::warn!(%error, "not admitted yet"),
        }
        sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn master_goes_before_the_control_store_and_some_address_is_needed() {
        let (one, none) = (["a:1".to_owned()], []);
        let found = |master, engine, masters, etcd| Whereabouts::of_settings(master, engine, masters, etcd);
        let master = Whereabouts::Master("m:1".to_owned());
        assert_eq!(found(Some("m:1"), ControlEngine::Etcd, &none, &one), Ok(master));
        let raft = ControlEndpoints::Remote { masters: one.to_vec() };
        assert_eq!(found(None, ControlEngine::Raft, &one, &none), Ok(Whereabouts::Control(raft)));
        let etcd = ControlEndpoints::Etcd { endpoints: one.to_vec() };
        assert_eq!(found(None, ControlEngine::Etcd, &none, &one), Ok(Whereabouts::Control(etcd)));
        assert_eq!(found(None, ControlEngine::Raft, &none, &one), Err(Nowhere));
        assert_eq!(found(None, ControlEngine::Etcd, &one, &none), Err(Nowhere));
    }
}
