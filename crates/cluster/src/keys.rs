//! Keys of this crate in the control store.

use api::NodeId;
use api::member::Role;

/// Prefix of all members.
pub const MEMBERS: &str = "members/";
/// The leader's lease: value [`crate::Leader`].
pub const LEADER: &str = "leader";
/// The ring: value [`api::member::RingRecord`].
pub const RING: &str = "ring";
/// Identity of this cluster, made once.
pub const CLUSTER: &str = "meta/cluster";

/// Where a node registers: value [`api::member::Member`].
#[must_use]
pub fn member(role: Role, id: &NodeId) -> String {
    format!("{MEMBERS}{role}/{id}")
}
