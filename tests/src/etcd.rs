//! The etcd behind a stack.

use control::conformance::{EtcdCluster, EtcdServer};

use crate::Records;

/// One server or a cluster of them.
#[derive(Debug)]
pub enum Etcd {
    /// A cluster of one.
    One(EtcdServer),
    /// A real cluster.
    Many(EtcdCluster),
}

impl Etcd {
    /// Starts `size` servers.
    pub async fn start(size: usize) -> Self {
        if size == 1 {
            Self::One(EtcdServer::start(&[]).await)
        } else {
            Self::Many(EtcdCluster::start(size).await)
        }
    }

    /// `host:port` of every server.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        match self {
            Self::One(server) => vec![server.endpoint()],
            Self::Many(cluster) => cluster.endpoints(),
        }
    }

    /// Every server.
    pub fn servers(&mut self) -> impl Iterator<Item = &mut EtcdServer> {
        let servers = match self {
            Self::One(server) => std::slice::from_mut(server),
            Self::Many(cluster) => &mut cluster.members,
        };
        servers.iter_mut()
    }

    /// What it holds.
    #[must_use]
    pub fn records(&self) -> Records {
        Records::at(&self.endpoints()[0])
    }
}
