//! Who is here, who leads, and who owns which keys — as every node sees it.
//!
//! ```text
//!   Registration ──► members/{role}/{id} ─┐                        ┌─► View ──► Snapshot ──► Routing (masters)
//!   Leadership  ──► leader ───────────────┼──► control store ──────┤
//!   RingKeeper  ──► ring (leader, fenced) ┘                        └─► every subscriber
//! ```
//!
//! What stays true:
//! - one live process per node id: a second one is refused ([`Registration`]);
//! - what a deposed leader writes is refused: every write of a leader carries [`Token::fence`];
//! - the ring is one record, written only by the leader, one epoch at a time ([`RingKeeper`]);
//! - readers hold immutable snapshots; while the control store is silent they keep the last one ([`View`]).

mod error;
mod find;
mod follow;
mod join;
pub mod keys;
mod leader;
mod registration;
mod ring;
mod view;

pub use error::Error;
pub use find::{ControlEngine, Whereabouts, find_control};
pub use join::{ControlEndpoints, JoinAnswer, join};
pub use leader::{Leader, LeaderState, Leadership, Token, cluster_id};
pub use registration::{Registration, Standing};
pub use ring::{Keeper as RingKeeper, Owner, Policy as RingPolicy, Routing};
pub use view::{Snapshot, VersionedRing, View};

use std::time::Duration;

/// Life of the leases of members and of the leader without a keep-alive; they are kept alive every third of it.
pub const LEASE_TTL: Duration = Duration::from_secs(10);
