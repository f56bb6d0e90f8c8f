//! Finding the control store: what a node that is no master does first.

use std::sync::Arc;
use std::time::Duration;

use control::{ControlSettings, ControlStore};
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

/// Finds the control store and opens it; waits for it, within bounds.
///
/// # Errors
/// [`Error::Join`] or [`Error::ControlSilent`] when nobody answers for a minute, and what is certain to fail again at once.
pub async fn find_control(whereabouts: &Whereabouts, peers: &PeerClient) -> Result<Arc<dyn ControlStore>, Error> {
    let endpoints = match whereabouts {
        Whereabouts::Master(address) => ask_master(peers, address).await?,
        Whereabouts::Control(endpoints) => endpoints.clone(),
    };
    let (at, settings) = match endpoints {
        ControlEndpoints::Etcd { endpoints } => (endpoints.join(", "), ControlSettings::Etcd { endpoints }),
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
