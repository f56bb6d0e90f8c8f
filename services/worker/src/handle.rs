//! A running worker.

use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::NodeId;
use cluster::Standing;
use lifecycle::{TaskStatus, Tasks};
use telemetry::Registry;
use tokio::sync::watch;
use transport::server::Readiness;

use crate::Error;
use crate::app::Worker;

/// Time for background tasks and answers under way when the node stops.
const DRAIN: Duration = Duration::from_secs(12);

/// A running worker. Dropping it does not stop it: call [`Handle::stop`].
#[derive(Debug)]
pub struct Handle {
    pub(crate) id: NodeId,
    pub(crate) address: SocketAddr,
    pub(crate) tasks: Tasks,
    pub(crate) readiness: Readiness,
    pub(crate) registry: Registry,
    pub(crate) standing: watch::Receiver<Standing>,
    pub(crate) worker: Arc<Worker>,
    /// Locked: the working directory is this process's.
    pub(crate) lock: File,
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

    /// Stops: leaves the cluster, ends its tasks (others run them again), finishes the answers under way.
    pub async fn stop(self) {
        self.readiness.stop();
        self.worker.cancel_all();
        let late = self.tasks.shutdown(DRAIN).await;
        if !late.is_empty() {
            tracing::warn!(tasks = ?late, "still running at the deadline");
        }
        drop(self.lock);
        tracing::info!(id = %self.id, "worker stopped");
    }
}
