//! One change of the record, and why it is made.

use std::fmt;

use api::NodeId;
use api::member::{Layout, Phase, RingRecord};

use super::{Request, following};

/// What to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The next record.
    pub record: RingRecord,
    /// Why, for people.
    pub cause: Cause,
    /// Requests it answers: their keys go in the same transaction.
    pub answers: Vec<Request>,
}

/// Why the ring changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// There was none.
    First,
    /// The store has lost it.
    Forgotten,
    /// Everybody was lost, and they are back.
    Restart,
    /// These lives are over.
    Gone(Vec<NodeId>),
    /// It does not answer the leader.
    Unreachable(NodeId),
    /// It answers, but others cannot reach it, or it cannot reach others.
    Complaints(NodeId),
    /// They came back while keys had no holder.
    Returned(Vec<NodeId>),
    /// Every owner holds what it must.
    Synced,
    /// Everybody reads from the new owners.
    Settled,
    /// It was asked for, or nodes came.
    Wanted {
        /// Who comes.
        joined: Vec<NodeId>,
        /// Who goes.
        drained: Option<NodeId>,
        /// Whether everybody was asked to compare what they hold.
        rebalance: bool,
    },
}

impl Step {
    /// The beginning, or the beginning anew, of a change.
    pub(super) fn moving(record: &RingRecord, previous: Layout, layout: Layout, cause: Cause) -> Self {
        let record = RingRecord {
            epoch: following(record),
            phase: Phase::Moving,
            layout,
            previous: Some(previous),
        };
        Self {
            record,
            cause,
            answers: Vec::new(),
        }
    }

    /// The next phase of a change.
    pub(super) fn to(record: &RingRecord, phase: Phase, previous: Option<Layout>, cause: Cause) -> Self {
        let record = RingRecord {
            epoch: following(record),
            phase,
            layout: record.layout.clone(),
            previous,
        };
        Self {
            record,
            cause,
            answers: Vec::new(),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |ids: &[NodeId]| ids.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Self::First => f.write_str("the first nodes are here"),
            Self::Forgotten => f.write_str("the control store has lost it"),
            Self::Restart => f.write_str("the nodes are back after all were lost"),
            Self::Gone(ids) => write!(f, "gone: {}", names(ids)),
            Self::Unreachable(id) => write!(f, "{id} does not answer"),
            Self::Complaints(id) => write!(f, "{id} and other nodes cannot reach each other"),
            Self::Returned(ids) => write!(f, "back while keys have no holder: {}", names(ids)),
            Self::Synced => f.write_str("every owner holds what it must"),
            Self::Settled => f.write_str("everybody reads from the new owners"),
            Self::Wanted {
                joined,
                drained,
                rebalance,
            } => {
                let mut parts = Vec::new();
                if !joined.is_empty() {
                    parts.push(format!("joined: {}", names(joined)));
                }
                parts.extend(drained.iter().map(|id| format!("drained: {id}")));
                if *rebalance {
                    parts.push("a rebalance was asked for".to_owned());
                }
                match parts.is_empty() {
                    true => f.write_str("settings changed"),
                    false => f.write_str(&parts.join("; ")),
                }
            }
        }
    }
}
