//! The choice of an engine.

use std::sync::Arc;

use transport::peer::PeerClient;

use crate::raft::{RaftOptions, RaftStore};
use crate::remote::RemoteStore;
use crate::{ControlStore, Error, EtcdAccess, Result};

/// Which engine, and what it needs.
#[derive(Debug, Clone)]
pub enum ControlSettings {
    /// This process is a master and keeps the store itself.
    Raft(Box<RaftOptions>),
    /// An etcd cluster keeps it.
    Etcd {
        /// `host:port` of its members.
        endpoints: Vec<String>,
        /// What they are shown.
        access: EtcdAccess,
    },
    /// The masters keep it.
    Remote {
        /// The way to them.
        client: PeerClient,
        /// Their private addresses, `host:port`.
        masters: Vec<String>,
    },
}

/// Opens the store.
///
/// # Errors
/// [`Error::Invalid`] for settings that cannot work, among them an engine that is not compiled in; what the engine says
/// when it cannot start. The `etcd` engine waits for its cluster as [`connect_etcd_as`] does.
pub async fn connect(settings: ControlSettings) -> Result<Arc<dyn ControlStore>> {
    match settings {
        ControlSettings::Raft(options) => Ok(RaftStore::open(*options).await?),
        ControlSettings::Etcd { endpoints, access } => connect_etcd_as(&endpoints, &access).await,
        ControlSettings::Remote { client, masters } => Ok(Arc::new(RemoteStore::new(client, masters)?)),
    }
}

/// Opens a store kept by an etcd that asks nobody who they are; see [`connect_etcd_as`].
///
/// # Errors
/// As [`connect_etcd_as`].
pub async fn connect_etcd(endpoints: &[String]) -> Result<Arc<dyn ControlStore>> {
    connect_etcd_as(endpoints, &EtcdAccess::default()).await
}

/// Opens a store kept by etcd, and waits until the cluster answers: callers bound the wait.
///
/// # Errors
/// [`Error::Invalid`] for endpoints that are none.
#[cfg(feature = "etcd")]
pub async fn connect_etcd_as(endpoints: &[String], access: &EtcdAccess) -> Result<Arc<dyn ControlStore>> {
    use crate::etcd::{EtcdOptions, EtcdStore};
    use crate::types::{Consistency, Range};

    let options = EtcdOptions {
        access: access.clone(),
        ..EtcdOptions::new(endpoints.to_vec())
    };
    let store = EtcdStore::connect(options).await?;
    let probe = Range {
        limit: 1,
        ..Range::default()
    };
    loop {
        match store.range(probe.clone(), Consistency::Linearizable).await {
            Ok(_) => return Ok(Arc::new(store)),
            Err(error @ (Error::Unavailable(_) | Error::Timeout(_))) => {
                tracing::warn!(endpoints = endpoints.join(","), %error, "etcd does not answer yet");
            }
            Err(error) => return Err(error),
        }
    }
}

/// Says that this binary cannot.
///
/// # Errors
/// Always.
#[cfg(not(feature = "etcd"))]
pub async fn connect_etcd_as(_endpoints: &[String], _access: &EtcdAccess) -> Result<Arc<dyn ControlStore>> {
    let reason = "this binary was built without the etcd engine; rebuild with --features etcd";
    Err(Error::Invalid(reason.to_owned()))
}

#[cfg(all(test, not(feature = "etcd")))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn missing_engine_is_named() {
        let endpoints = vec!["etcd:2379".to_owned()];
        let refused = connect(ControlSettings::Etcd {
            endpoints,
            access: EtcdAccess::default(),
        })
        .await
        .unwrap_err();
        assert!(refused.to_string().contains("rebuild with --features etcd"), "{refused}");
    }
}
