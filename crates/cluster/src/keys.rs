//! Keys of this crate in the control store.

use api::NodeId;
use api::member::Role;

/// Prefix of all members.
pub const MEMBERS: &str = "members/";
/// The leader's lease: value [`crate::Leader`].
pub const LEADER: &str = "leader";
/// The ring: value [`api::member::RingRecord`]. Also the prefix of everything about it, so that one watch tells of the ring
/// and of requests in the order in which they were written.
pub const RING: &str = "ring";
/// Prefix of requests that lives of auxiliaries leave the ring: value [`crate::Drain`].
pub const DRAINS: &str = "ring-requests/drain/";
/// Request that all auxiliaries compare what they hold.
pub const REBALANCE: &str = "ring-requests/rebalance";
/// Prefix of what is said of namespaces of the cache: value [`api::cache::NamespaceQuota`], by name.
pub const NAMESPACES: &str = "namespaces/";
/// Identity of this cluster, made once.
pub const CLUSTER: &str = "meta/cluster";

/// Where a node registers: value [`api::member::Member`].
#[must_use]
pub fn member(role: Role, id: &NodeId) -> String {
    format!("{MEMBERS}{role}/{id}")
}

/// Where an auxiliary is asked to leave the ring.
#[must_use]
pub fn drain(id: &NodeId) -> String {
    format!("{DRAINS}{id}")
}
