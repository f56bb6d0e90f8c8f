//! Whether the peer of an open connection is still one that would be let in.
//!
//! A handshake looks at a certificate once, and connections last for days. So each one remembers what its peer has shown, and ends when
//! that would not do any more: when the certificate has ended, or when the authority behind it is trusted no longer. A renewed
//! certificate ends nothing, and neither does an authority that is added.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::{CertificateDer, ServerName};
use tokio::sync::watch;

use crate::{Facts, Tls};

/// Longest time between two looks at the clock, which may be set anew.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// How it stands with the peer of a connection; clones are of the same connection.
#[derive(Debug, Clone, Default)]
pub struct Standing(Option<Arc<Shown>>);

/// What a peer has shown.
struct Shown {
    tls: Tls,
    chain: Vec<CertificateDer<'static>>,
    /// As whom: a server has the name it was called by.
    server: Option<ServerName<'static>>,
    /// When the certificate ends.
    until: SystemTime,
    /// When the others do that were shown with it. They may be needed or not: an old one can stand beside the one that took its place.
    others: Vec<SystemTime>,
    /// As of a moment before the handshake.
    trust: watch::Receiver<u64>,
}

/// Why a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The peer's certificate has ended.
    Expired,
    /// No authority that is trusted has signed it.
    Untrusted,
}

impl Ended {
    /// A word for metrics and the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Untrusted => "untrusted",
        }
    }
}

impl Standing {
    /// Of whoever needs no certificate: always good.
    #[must_use]
    pub const fn anyone() -> Self {
        Self(None)
    }

    /// Of a peer that has shown this chain, in a handshake that began after `trust` was looked at.
    pub(crate) fn of(
        tls: &Tls,
        chain: Option<&[CertificateDer<'static>]>,
        server: Option<ServerName<'static>>,
        trust: watch::Receiver<u64>,
    ) -> Self {
        let Some(chain) = chain.filter(|chain| !chain.is_empty()) else {
            return Self::anyone();
        };
        let ends = |certificate| Facts::of(certificate, &tls.files().authorities).map(|facts| facts.not_after);
        let until = ends(&chain[0]).ok();
        Self(Some(Arc::new(Shown {
            tls: tls.clone(),
            chain: chain.to_vec(),
            server,
            // The handshake could read it, so this never happens; should it, only trust is looked at.
            until: until.unwrap_or_else(|| SystemTime::now() + Duration::from_secs(u64::from(u32::MAX))),
            others: chain[1..].iter().filter_map(|certificate| ends(certificate).ok()).collect(),
            trust,
        })))
    }

    /// Returns when the peer would not be let in any more, which for those without certificates never happens. Whatever it has begun may
    /// come to its end; what is new belongs on another connection.
    pub async fn ended(&self) -> Ended {
        let Some(shown) = &self.0 else { return pending().await };
        let mut trust = shown.trust.clone();
        let ended = loop {
            let now = SystemTime::now();
            let left = |end: &SystemTime| end.duration_since(now).ok().filter(|left| !left.is_zero());
            let Some(own) = left(&shown.until) else {
                break Ended::Expired;
            };
            if !shown.is_trusted() {
                break Ended::Untrusted;
            }
            let next = shown.others.iter().filter_map(left).fold(own.min(LOOK), Duration::min);
            tokio::select! {
                // Never an error: what it follows is held here.
                _ = trust.changed() => {}
                () = tokio::time::sleep(next) => {}
            }
        };
        shown.tls.figures().ended.with_label_values(&[ended.as_str()]).inc();
        ended
    }
}

impl Shown {
    fn is_trusted(&self) -> bool {
        let identity = self.tls.identity();
        match &self.server {
            Some(name) => identity.trusts_server(&self.chain, name),
            None => identity.trusts_client(&self.chain),
        }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = &self.server;
        f.debug_struct("Shown")
            .field("server", server)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}
