//! A master's place in the cluster, from an open directory to a running engine.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use transport::frames::FrameMetrics;
use transport::peer::PeerClient;

use super::RaftStore;
use super::advice::ADVICE;
use super::blocking::blocking;
use super::contacts::Contacts;
use super::disk::{Disk, OsDisk};
use super::formation::{find_place, initial_members};
use super::identity::Identity;
use super::local::Local;
use super::lock::DirLock;
use super::network::{Client, HttpNetwork, Network};
use super::open::{self, make_dir, unwritable};
use super::options::RaftOptions;
use super::serve::{Endpoint, Router, router};
use crate::error::Error;

/// A node that holds its directory and can be asked who it is, but takes no part yet.
#[derive(Debug)]
pub struct RaftNode {
    pub(super) options: RaftOptions,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) lock: DirLock,
    pub(super) local: Arc<Local>,
}

impl RaftNode {
    /// Takes the directory.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the directory cannot be written or is in use; [`Error::Damaged`] when its identity cannot
    /// be read; [`Error::Invalid`] when the options do not fit it, or each other.
    pub async fn prepare(options: RaftOptions, client: PeerClient) -> Result<Self, Error> {
        Self::prepare_on(Arc::new(OsDisk), Arc::new(HttpNetwork::new(client)), options).await
    }

    /// Takes the directory, on a disk and with a network of the caller's choice.
    pub(crate) async fn prepare_on(disk: Arc<dyn Disk>, network: Arc<dyn Network>, options: RaftOptions) -> Result<Self, Error> {
        options.config()?;
        let initial = initial_members(&options)?;
        let (opening, dir, name) = (Arc::clone(&disk), options.dir.clone(), options.name.clone());
        let opened = blocking(&*disk, move || {
            make_dir(&*opening, &dir)?;
            let lock = DirLock::acquire(&dir)?;
            let log = opening.names(&dir.join("log")).unwrap_or_default();
            if !log.is_empty() && !Identity::is_there(&*opening, &dir)? {
                return Err(Error::Damaged(format!(
                    "{} has a log but no identity. {ADVICE}",
                    dir.display()
                )));
            }
            let identity = Identity::open(Arc::clone(&opening), &dir, &name)?;
            opening.sync_dir(&dir).map_err(|error| unwritable(&dir, &error))?;
            Ok((lock, identity))
        });
        let (lock, identity) = opened.await.map_err(|error| Error::Damaged(error.to_string()))??;
        let (identity, contacts) = (Arc::new(identity), Arc::new(Contacts::default()));
        let client = Client::new(
            network,
            Arc::clone(&identity),
            Arc::clone(&contacts),
            &options.initial_cluster,
        );
        let endpoint = Endpoint::new(Arc::clone(&identity), Arc::clone(&contacts), initial);
        let local = Local {
            identity,
            contacts,
            client: Arc::new(client),
            endpoint: Arc::new(endpoint),
            waiting: watch::Sender::new(None),
        };
        Ok(Self {
            options,
            disk,
            lock,
            local: Arc::new(local),
        })
    }

    /// The routes for other masters, to be mounted at [`BASE`](super::BASE). They must be served before [`start`](Self::start),
    /// since masters wait for one another. Connections of the others are closed when `stop` is cancelled.
    pub fn router(&self, stop: CancellationToken) -> Router {
        let registry = self.options.registry.clone().unwrap_or_default();
        router(Arc::clone(&self.local.endpoint), FrameMetrics::new(&registry), stop)
    }

    /// What [`start`](Self::start) waits for, in words; nothing while it does not wait.
    #[must_use]
    pub fn waiting(&self) -> watch::Receiver<Option<String>> {
        self.local.waiting.subscribe()
    }

    /// Takes part: takes up what the directory holds, or begins a cluster with the other initial members, or takes the place
    /// that a cluster has for this node. Waits for the others as long as that takes, and says in the log for whom; does not
    /// wait for a majority to be there again.
    ///
    /// # Errors
    /// [`Error::Invalid`] when somebody must act first: a directory was lost; [`Error::Damaged`] when what the directory
    /// holds cannot be trusted.
    pub async fn start(self) -> Result<Arc<RaftStore>, Error> {
        let place = match self.local.identity.place() {
            Some(place) => place,
            None => find_place(&self.local, &self.options).await?,
        };
        open::run(self, place).await
    }
}
