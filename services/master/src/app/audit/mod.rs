//! What goes into the audit log: what operators do, who is turned away, and who comes and goes.

mod members;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use api::NodeId;
use telemetry::audit::{Actor, Audit, Entry, Outcome};
use transport::callers::DeniedLog;

pub(crate) use members::Seen;

/// Longest wait for the disk when the node stops.
const CLOSE: Duration = Duration::from_secs(5);

/// Keeps the audit log of a master.
#[derive(Debug)]
pub struct Auditor {
    audit: Audit,
    denials: Arc<DeniedLog>,
    me: Actor,
}

impl Auditor {
    /// Into this log, for the node of this name.
    #[must_use]
    pub fn new(audit: Audit, me: &str) -> Self {
        Self {
            denials: Arc::new(DeniedLog::new(audit.clone())),
            audit,
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
        self.denials.denied(address, entry);
    }

    /// Denials, for the private listener.
    pub(crate) fn denials(&self) -> Arc<DeniedLog> {
        Arc::clone(&self.denials)
    }

    /// Writes how many denials were left out of which nobody will be told otherwise, since their address has fallen silent.
    pub(crate) fn sum_up(&self) {
        self.denials.sum_up();
    }

    /// Waits until everything is on the disk, for as long as a stop may take.
    pub(crate) fn close(&self) {
        self.denials.close();
        if !self.audit.flush(CLOSE) {
            tracing::error!("the audit log is not all on the disk");
        }
    }
}
