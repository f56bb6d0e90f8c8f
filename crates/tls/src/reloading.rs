//! An identity that follows its files: certificates are renewed without a restart.
//!
//! Files that are being replaced do not fit together for a moment, so a change is looked at when it has stood still for one look.
//! What cannot be used is told, and leaves all as it was.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::files::Stamp;
use crate::identity::server_name;
use crate::{Error, Figures, Files, Identity, Standing};

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(1);
/// Time until files that could not be used are tried again though they have not changed: they may become valid.
const AGAIN: Duration = Duration::from_secs(60);
/// Certificates that end sooner are told of when they are read.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The identity of a node as it is now; clones follow the same files.
#[derive(Debug, Clone)]
pub struct Tls {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: Files,
    role: &'static str,
    figures: Figures,
    current: ArcSwap<Identity>,
    /// Changes whenever an authority is trusted no longer, after `current` has.
    trust: watch::Sender<u64>,
    looks: Mutex<Looks>,
}

/// What was seen of the files.
#[derive(Debug)]
struct Looks {
    /// Of those in use, or that were found wanting.
    settled: Stamp,
    /// At the last look.
    last: Stamp,
    /// When they were found wanting, if so.
    wanting: Option<Instant>,
}

impl Tls {
    /// Reads the files. `role` says what the certificate is for, in metrics and the log: `node`, `etcd`.
    ///
    /// # Errors
    /// As [`Identity::load`].
    pub fn load(files: Files, role: &'static str, figures: &Figures) -> Result<Self, Error> {
        let stamp = files.stamp();
        let identity = Identity::load(&files)?;
        figures.shows(role, &identity);
        tell(role, &identity, "certificate in use");
        Ok(Self {
            inner: Arc::new(Inner {
                files,
                role,
                figures: figures.clone(),
                current: ArcSwap::from_pointee(identity),
                trust: watch::Sender::new(0),
                looks: Mutex::new(Looks {
                    settled: stamp.clone(),
                    last: stamp,
                    wanting: None,
                }),
            }),
        })
    }

    /// The identity as it is now.
    #[must_use]
    pub fn identity(&self) -> Arc<Identity> {
        self.inner.current.load_full()
    }

    /// Begins to speak TLS with the server at `host`, whose certificate must name it, and says for how long that is good.
    ///
    /// # Errors
    /// As [`Identity::connect`].
    pub async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Standing)> {
        let trust = self.trust();
        let stream = self.identity().connect(host, stream).await?;
        let name = server_name(host).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let standing = Standing::of(self, stream.get_ref().1.peer_certificates(), Some(name), trust);
        Ok((stream, standing))
    }

    /// What changes when an authority is trusted no longer. Looked at before a handshake, it misses nothing that comes after.
    pub(crate) fn trust(&self) -> watch::Receiver<u64> {
        self.inner.trust.subscribe()
    }

    /// Where it is read from.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.inner.files
    }

    /// Figures of the node it belongs to.
    pub(crate) fn figures(&self) -> &Figures {
        &self.inner.figures
    }

    /// Follows the files until the token is cancelled; `SIGHUP` makes it read them at once.
    pub async fn follow(self, stop: CancellationToken) {
        let mut hangups = signal(SignalKind::hangup())
            .inspect_err(|error| warn!(%error, "SIGHUP cannot be heard; certificates are still looked at every second"))
            .ok();
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let hangup = async {
                match &mut hangups {
                    Some(hangups) => hangups.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = ticks.tick() => self.look(),
                _ = hangup => self.reload(),
                () = stop.cancelled() => return,
            }
        }
    }

    /// Looks whether the files have changed and stand still.
    fn look(&self) {
        let stamp = self.inner.files.stamp();
        let due = {
            let mut looks = self.inner.looks.lock();
            let still = looks.last == stamp;
            looks.last.clone_from(&stamp);
            let again = looks.wanting.is_some_and(|since| since.elapsed() >= AGAIN);
            still && (looks.settled != stamp || again)
        };
        if due {
            self.reload();
        }
    }

    /// Reads the files now, and goes on with what is in them if that can be used.
    pub fn reload(&self) {
        let stamp = self.inner.files.stamp();
        let (role, loaded) = (self.inner.role, Identity::load(&self.inner.files));
        let mut looks = self.inner.looks.lock();
        looks.settled.clone_from(&stamp);
        looks.last = stamp;
        looks.wanting = loaded.is_err().then(Instant::now);
        drop(looks);
        self.inner.figures.reloaded(role, loaded.is_ok());
        match loaded {
            Ok(identity) => {
                self.inner.figures.shows(role, &identity);
                tell(role, &identity, "certificate renewed");
                let gone = self.identity().trusted_no_longer(&identity);
                self.inner.current.store(Arc::new(identity));
                if !gone.is_empty() {
                    let authorities = gone.join(", ");
                    info!(
                        role,
                        authorities, "trusted no longer: connections with those that only they have signed for come to their end"
                    );
                    self.inner.trust.send_modify(|changes| *changes += 1);
                }
            }
            Err(error) => {
                let reason = chain(&error);
                error!(role, reason, "the new certificate cannot be used; going on with the old one");
            }
        }
    }
}

fn tell(role: &str, identity: &Identity, what: &str) {
    let facts = identity.facts();
    let (names, until) = (facts.names.join(", "), humantime::format_rfc3339_seconds(facts.not_after));
    info!(role, names, %until, authorities = identity.authorities().len(), "{what}");
    let left = facts.left(std::time::SystemTime::now()).unwrap_or_default();
    if left < SOON {
        warn!(role, %until, "the certificate ends soon: renew it (elasticore certs renew)");
    }
}

/// An error with its causes.
fn chain(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
