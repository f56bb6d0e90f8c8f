//! Who is here, who leads, and who owns which keys — as every node sees it.
//!
//! ```text
//!   Registration ──► members/{role}/{id} ─┐                        ┌─► View ──► Snapshot ──► Routing (masters, auxiliaries)
//!   Leadership  ──► leader ───────────────┼──► control store ──────┤
//!   RingKeeper  ──► ring (leader, fenced) ┤                        └─► every subscriber
//!   drain, rebalance ──► ring-requests/…  ┘
//! ```
//!
//! What stays true:
//! - one live process per node id: a second one is refused ([`Registration`]);
//! - what a deposed leader writes is refused: every write of a leader carries [`Token::fence`];
//! - the ring is one record, written only by the leader, one epoch at a time ([`RingKeeper`], by the rules of [`change`]);
//! - the leader hears from every node whom that one cannot reach ([`Reach`]);
//! - readers hold immutable snapshots; while the control store is silent they keep the last one ([`View`]).

mod encryption;
mod error;
mod find;
mod follow;
mod join;
pub mod keys;
mod leader;
mod reach;
mod registration;
mod requests;
mod ring;
mod view;

pub use encryption::{Encryption, EncryptionSettings};
pub use error::Error;
pub use find::{ControlEngine, Nowhere, Whereabouts, find_control};
pub use follow::{Update, follow};
pub use join::{ControlEndpoints, JoinAnswer, join};
pub use leader::{Leader, LeaderState, Leadership, Token, cluster_id};
pub use reach::Reach;
pub use registration::{Registration, Standing};
pub use requests::{Drain, Outcome as RequestOutcome, drain, rebalance};
pub use ring::change::{self, Policy as RingPolicy};
pub use ring::{Duty, Keeper as RingKeeper, NodeIndex, Nodes, Owner, Plan, Routing, Source};
pub use view::{Snapshot, VersionedRing, View};

use std::time::Duration;

/// Life of the leases of members and of the leader without a keep-alive; they are kept alive every third of it.
pub const LEASE_TTL: Duration = Duration::from_secs(10);
