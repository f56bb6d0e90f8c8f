//! A running master.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::member::Role;
use cluster::{Standing, View};
use control::Error;
use control::raft::RaftStore;
use lifecycle::Tasks;
use tokio::sync::watch;
use transport::server::Readiness;

use crate::app::audit::Auditor;
use crate::start::Doors;

/// Time for background tasks and answers under way when the master stops.
const DRAIN: Duration = Duration::from_secs(12);

/// A running master. Dropping it does not stop it: call [`Handle::stop`].
#[derive(Debug)]
pub struct Handle {
    pub(crate) public: SocketAddr,
    pub(crate) private: SocketAddr,
    pub(crate) tasks: Tasks,
    pub(crate) readiness: Readiness,
    pub(crate) doors: Doors,
    pub(crate) view: Arc<View>,
    pub(crate) standing: watch::Receiver<Standing>,
    pub(crate) raft: Option<Arc<RaftStore>>,
    pub(crate) auditor: Arc<Auditor>,
}

impl Handle {
    /// Address of the public listener.
    #[must_use]
    pub const fn public(&self) -> SocketAddr {
        self.public
    }

    /// Address of the private listener.
    #[must_use]
    pub const fn private(&self) -> SocketAddr {
        self.private
    }

    /// Whether clients are welcome.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.readiness.is_ready()
    }

    /// Returns when this master cannot go on, with the reason.
    pub async fn failed(&self) -> anyhow::Error {
        let mut standing = self.standing.clone();
        let superseded = async {
            if standing.wait_for(|standing| *standing == Standing::Superseded).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = superseded => anyhow::anyhow!("another process has taken this NODE_ID; give each node an id of its own"),
            error = engine_stopped(self.raft.as_ref()) => error.into(),
        }
    }

    /// Stops: clients are turned away, answers under way are finished, the lease is given back, the log is closed.
    pub async fn stop(self) {
        self.readiness.stop();
        let others = self.view.load().with_role(Role::Master).count() > 1;
        let turn_away = async {
            // Clients of the only one have nowhere else to go.
            if others {
                self.doors.turn_away().await;
            }
        };
        // While the private listener still answers, so that the others see the new leader at once.
        let hand_over = async || {
            if let Some(raft) = &self.raft {
                raft.hand_over().await;
            }
        };
        tokio::join!(turn_away, hand_over());
        // Others that stop as well may have handed over to this one.
        hand_over().await;
        let late = self.tasks.shutdown(DRAIN).await;
        if !late.is_empty() {
            tracing::warn!(tasks = ?late, "still running at the deadline");
        }
        if let Some(raft) = self.raft
            && let Err(error) = raft.shutdown().await
        {
            tracing::error!(%error, "the raft engine did not stop cleanly");
        }
        let auditor = self.auditor;
        if tokio::task::spawn_blocking(move || auditor.close()).await.is_err() {
            tracing::error!("the audit log was not closed");
        }
    }
}

/// Returns when the built-in engine has stopped, with the reason.
pub(crate) async fn engine_stopped(raft: Option<&Arc<RaftStore>>) -> Error {
    match raft {
        Some(raft) => raft.stopped().await,
        None => std::future::pending().await,
    }
}
