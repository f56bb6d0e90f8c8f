//! Joining with one address: any master (or the load balancer before them) tells where the control store is.

use serde::{Deserialize, Serialize};
use transport::peer::{PeerClient, Retry};

use crate::Error;

/// Path of the call, on a master's public port.
const PATH: &str = "/cluster/join";

/// How a node that is no master reaches the control store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ControlEndpoints {
    /// etcd.
    Etcd {
        /// Its servers.
        endpoints: Vec<String>,
    },
    /// The built-in engine, through the masters' private ports.
    Remote {
        /// `host:port` of each.
        masters: Vec<String>,
    },
}

/// Answer of `POST /cluster/join`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinAnswer {
    /// Where the control store is.
    pub control: ControlEndpoints,
}

/// Asks the master at `address` (`host:port`); the client carries the cluster token.
///
/// # Errors
/// [`Error::Join`] when nobody there admits this node.
pub async fn join(client: &PeerClient, address: &str) -> Result<JoinAnswer, Error> {
    let asked = async { client.post(address, PATH).retry(Retry::Always).send().await?.json().await };
    asked.await.map_err(|source| Error::Join {
        address: address.to_owned(),
        source,
    })
}
