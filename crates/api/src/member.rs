//! Nodes as the control store records them, and the ring record.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{BootId, Epoch, NodeId};

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Front door and, when it leads, scheduler.
    Master,
    /// Storage of cache entries and blobs.
    Auxiliary,
    /// Runs tasks of jobs.
    Worker,
}

impl Role {
    /// The name used in keys, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Auxiliary => "auxiliary",
            Self::Worker => "worker",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Value of `members/{role}/{node_id}`, bound to the node's lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// Stable name.
    pub id: NodeId,
    /// What it does.
    pub role: Role,
    /// This life of the process.
    pub boot_id: BootId,
    /// `host:port` of its private listener, as other nodes reach it.
    pub address: String,
    /// `host:port` of its public listener; masters only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_address: Option<String>,
    /// Failure domain; two copies avoid sharing one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Share of the ring relative to other nodes; 1 unless set.
    #[serde(default = "one")]
    pub weight: u32,
    /// When this life began, Unix milliseconds.
    pub started_at_ms: u64,
    /// Version of the software.
    pub version: String,
}

impl Member {
    /// A life that begins now, with nothing said of zone and weight.
    #[must_use]
    pub fn begin(id: NodeId, role: Role, address: String) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            id,
            role,
            boot_id: BootId::new_random(),
            address,
            public_address: None,
            zone: None,
            weight: one(),
            started_at_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

const fn one() -> u32 {
    1
}

/// One life of an auxiliary in the ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RingMember {
    /// Stable name: what is hashed.
    pub id: NodeId,
    /// The life meant: a node that was restarted is another holder, an empty one. Records of versions that knew no lives name
    /// none that exists.
    #[serde(default = "BootId::nobody")]
    pub boot_id: BootId,
    /// Share relative to the others.
    pub weight: u32,
    /// Failure domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// In a previous layout, and in the layout while it is settling: this life is over or unreachable, and what it held is not
    /// counted on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

/// Which auxiliaries share the keys, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Layout {
    /// Virtual nodes per unit of weight.
    pub virtual_nodes: u32,
    /// Copies of each entry.
    pub replicas: u32,
    /// The auxiliaries, sorted by id.
    pub members: Vec<RingMember>,
}

/// How far a change of the ring has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// No change is under way.
    #[default]
    Stable,
    /// Read from the previous owners, write to both, while the new owners fetch what they lack.
    Moving,
    /// Read from the new owners, write to both, until nobody reads from the previous ones any more.
    Settling,
}

impl Phase {
    /// The name used in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Moving => "moving",
            Self::Settling => "settling",
        }
    }

    /// First epoch whose range syncs belong to the change under way in this phase at `epoch`; without one, to the next.
    #[must_use]
    pub const fn syncs_from(self, epoch: Epoch) -> Epoch {
        match self {
            Self::Stable => epoch.next(),
            Self::Moving => epoch,
            // What was fetched, was fetched for the record before.
            Self::Settling => Epoch(epoch.0.saturating_sub(1)),
        }
    }
}

/// Value of the key `ring`: who owns what. Written only by the leader, fenced.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct RingRecord {
    /// Grows by one with each record, phases included.
    pub epoch: Epoch,
    /// How far the change has come.
    #[serde(default)]
    pub phase: Phase,
    /// Who should own the keys.
    #[serde(flatten)]
    pub layout: Layout,
    /// While a change is under way: who owned them before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Layout>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_of_a_version_without_lives_can_be_read() {
        let record = r#"{"epoch":7,"virtual_nodes":256,"replicas":1,"members":[{"id":"auxiliary-1","weight":1}]}"#;
        let record: RingRecord = serde_json::from_str(record).unwrap();
        assert_eq!((record.epoch, record.phase, record.previous), (Epoch(7), Phase::Stable, None));
        assert_eq!(record.layout.members[0].boot_id, BootId::nobody());
    }
}
