//! A running auxiliary.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::NodeId;
use cache::owner::Owner;
use cluster::Standing;
use lifecycle::{CancellationToken, TaskStatus, Tasks};
use store::backup::BackupId;
use telemetry::Registry;
use tokio::sync::watch;
use transport::server::Readiness;

use crate::Error;
use crate::app::backups::Backups;

/// Time for background tasks and answers under way when the node stops.
const DRAIN: Duration = Duration::from_secs(12);

/// Time for the ring to go on without this node, which answers meanwhile.
const FAREWELL: Duration = Duration::from_secs(2);

/// A running auxiliary. Dropping it does not stop it: call [`Handle::stop`].
#[derive(Debug)]
pub struct Handle {
    pub(crate) id: NodeId,
    pub(crate) address: SocketAddr,
    pub(crate) tasks: Tasks,
    pub(crate) readiness: Readiness,
    pub(crate) registry: Registry,
    pub(crate) standing: watch::Receiver<Standing>,
    pub(crate) leaving: CancellationToken,
    pub(crate) owner: Arc<Owner>,
    pub(crate) backups: Arc<Backups>,
}

impl Handle {
    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &NodeId {
        &self.id
    }

    /// Address of its listener.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it takes work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.readiness.is_ready()
    }

    /// Its background tasks.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskStatus> {
        self.tasks.list()
    }

    /// Its metrics.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns when this node cannot go on, with the reason.
    pub async fn failed(&self) -> Error {
        let mut standing = self.standing.clone();
        if standing.wait_for(|standing| *standing == Standing::Superseded).await.is_err() {
            std::future::pending::<()>().await;
        }
        Error::Superseded(self.id.clone())
    }

    /// Stops: leaves the cluster, answers until the ring goes on without this node, writes a last backup, and finishes the
    /// answers under way.
    pub async fn stop(self) {
        self.readiness.stop();
        self.leaving.cancel();
        if tokio::time::timeout(FAREWELL, self.owner.departed()).await.is_err() {
            tracing::info!("the ring still counts on this node; the backup has what it holds");
        }
        // A failure is logged where it happens; there is nobody left to tell.
        drop(self.backups.write(BackupId::new_now(), &self.owner).await);
        let late = self.tasks.shutdown(DRAIN).await;
        if !late.is_empty() {
            tracing::warn!(tasks = ?late, "still running at the deadline");
        }
        tracing::info!(id = %self.id, "auxiliary stopped");
    }
}
