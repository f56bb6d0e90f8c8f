//! What goes into the audit log: what operators do, who is turned away, and who comes and goes.

mod denials;
mod members;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use api::NodeId;
use telemetry::audit::{Actor, Audit, Entry, Outcome};

use denials::Denials;
pub(crate) use members::Seen;

/// Longest wait for the disk when the node stops.
const CLOSE: Duration = Duration::from_secs(5);

/// Keeps the audit log of a master.
#[derive(Debug)]
pub struct Auditor {
    audit: Audit,
    began: Instant,
    denials: Denials,
    me: Actor,
}

impl Auditor {
    /// Into this log, for the node of this name.
    #[must_use]
    pub fn new(audit: Audit, me: &str) -> Self {
        Self {
            audit,
            began: Instant::now(),
            denials: Denials::default(),
            me: Actor::node(me),
        }
    }

    /// Something happened.
    pub(crate) fn record(&self, entry: Entry) {
        self.audit.record(entry);
    }

    /// This node did something of its own accord.
    pub(crate) fn did(&self, event: &'static str) -> Entry {
        Entry::new(event, self.me.clone(), Outcome::Observed)
    }

    /// This node came to lead, after somebody else if that is known.
    pub(crate) fn leads(&self, previous: Option<&NodeId>) -> Entry {
        let entry = self.did("leader.changed").on(self.me.id.clone().unwrap_or_default());
        match previous {
            Some(previous) => entry.with("previous", previous.to_string()),
            None => entry,
        }
    }

    /// Somebody was turned away. Of many such entries from one address only some are written, with the number of the others.
    pub(crate) fn denied(&self, address: Option<IpAddr>, entry: impl FnOnce() -> Entry) {
        if let Some(suppressed) = self.denials.admit(address, self.now()) {
            let entry = entry();
            self.record(match suppressed {
                0 => entry,
                others => entry.with("suppressed_before", others.to_string()),
            });
        }
    }

    /// Writes how many denials were left out of which nobody will be told otherwise, since their address has fallen silent.
    pub(crate) fn sum_up(&self) {
        self.sum_up_at(self.now());
    }

    fn sum_up_at(&self, now: Duration) {
        for (address, requests) in self.denials.left_over(now) {
            let entry = Entry::new("denied.suppressed", Actor::anonymous(), Outcome::Observed);
            let mut entry = entry.with("requests", requests.to_string());
            entry.address = address.map(|address| address.to_string());
            self.record(entry);
        }
    }

    /// Waits until everything is on the disk, for as long as a stop may take.
    pub(crate) fn close(&self) {
        self.sum_up_at(Duration::MAX);
        if !self.audit.flush(CLOSE) {
            tracing::error!("the audit log is not all on the disk");
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}
