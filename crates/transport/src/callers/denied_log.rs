//! Who was turned away, in the audit log of a node.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use telemetry::audit::{Actor, Audit, Entry, Outcome};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::denials::Denials;
use crate::server::{Admission, Gate, PeerAddress};
use crate::{ApiError, RequestId};

/// Time between two sums of denials that were not written one by one.
const SUMS: Duration = Duration::from_secs(60);

/// Writes denials down, of many only some. As a [`Gate`] of a private listener, it lets everybody pass whom the listener itself does.
#[derive(Debug)]
pub struct DeniedLog {
    audit: Audit,
    began: Instant,
    denials: Denials,
}

impl DeniedLog {
    /// Into this log.
    #[must_use]
    pub fn new(audit: Audit) -> Self {
        Self {
            audit,
            began: Instant::now(),
            denials: Denials::default(),
        }
    }

    /// Somebody was turned away. Of many such entries from one address only some are written, with the number of the others.
    pub fn denied(&self, address: Option<IpAddr>, entry: impl FnOnce() -> Entry) {
        if let Some(suppressed) = self.denials.admit(address, self.began.elapsed()) {
            let entry = entry();
            self.audit.record(match suppressed {
                0 => entry,
                others => entry.with("suppressed_before", others.to_string()),
            });
        }
    }

    /// Writes how many denials were left out of which nobody will be told otherwise, since their address has fallen silent.
    pub fn sum_up(&self) {
        self.sum_up_at(self.began.elapsed());
    }

    /// Writes how many were left out, before the node stops.
    pub fn close(&self) {
        self.sum_up_at(Duration::MAX);
    }

    /// Sums up every minute until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(SUMS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.sum_up(),
                () = stop.cancelled() => return self.close(),
            }
        }
    }

    fn sum_up_at(&self, now: Duration) {
        for (address, requests) in self.denials.left_over(now) {
            let entry = Entry::new("denied.suppressed", Actor::anonymous(), Outcome::Observed);
            let mut entry = entry.with("requests", requests.to_string());
            entry.address = address.map(|address| address.to_string());
            self.audit.record(entry);
        }
    }
}

impl Gate for DeniedLog {
    fn admit(&self, _: &mut Request) -> Admission {
        Admission::granted()
    }

    fn turned_away(&self, request: &Request, _: &ApiError) {
        let address = request.extensions().get().map(|PeerAddress(peer)| peer.ip().to_canonical());
        self.denied(address, || {
            let route = request.extensions().get::<MatchedPath>();
            let route = route.map_or("unmatched", MatchedPath::as_str);
            Entry {
                address: address.map(|address| address.to_string()),
                action: Some(format!("{} {route}", request.method())),
                request_id: RequestId::current().map(|id| id.to_string()),
                ..Entry::new("denied", Actor::anonymous(), Outcome::Refused(401, "unauthenticated")).with("port", "private")
            }
        });
    }
}
