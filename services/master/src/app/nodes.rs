//! What this master knows of the cluster, for operators and for nodes that join.

use std::sync::Arc;

use api::NodeId;
use api::cache::NodeStatus;
use api::member::{Member, Role};
use cluster::{ControlEndpoints, ControlEngine, JoinAnswer, Leader, Snapshot};
use lifecycle::{TaskStatus, Tasks};

use super::auxiliaries::Auxiliaries;
use crate::Settings;

/// The cluster as this master sees it.
#[derive(Debug)]
pub struct Nodes {
    auxiliaries: Auxiliaries,
    tasks: Tasks,
    me: NodeId,
    control: ControlEndpoints,
}

/// A node and its part in things.
#[derive(Debug)]
pub struct Node {
    /// The node.
    pub member: Member,
    /// Whether it leads.
    pub leads: bool,
    /// Part of all keys that it is the primary of, when it is in the ring.
    pub share: Option<f64>,
    /// Of auxiliaries.
    pub auxiliary: Option<AuxiliaryNode>,
}

/// What only auxiliaries have.
#[derive(Debug)]
pub struct AuxiliaryNode {
    /// What it says of itself, or why it says nothing.
    pub status: Result<NodeStatus, String>,
    /// Whether this life of it was asked to leave the ring, or has left it for that reason.
    pub draining: bool,
}

impl Nodes {
    /// Of a master with these settings, whose private listener is at `address`.
    #[must_use]
    pub fn new(auxiliaries: Auxiliaries, tasks: Tasks, me: NodeId, settings: &Settings, address: &str) -> Self {
        let control = match settings.control_store {
            ControlEngine::Etcd => ControlEndpoints::Etcd {
                endpoints: settings.etcd_endpoints.0.clone(),
            },
            ControlEngine::Raft => ControlEndpoints::Remote {
                masters: founders(settings, address),
            },
        };
        Self {
            auxiliaries,
            tasks,
            me,
            control,
        }
    }

    /// This master.
    #[must_use]
    pub const fn me(&self) -> &NodeId {
        &self.me
    }

    /// The cluster now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.auxiliaries.view().load_full()
    }

    /// Who leads, when known.
    #[must_use]
    pub fn leader(&self) -> Option<Leader> {
        self.snapshot().leader().cloned()
    }

    /// Every registered node of a snapshot; auxiliaries are asked how they are.
    pub async fn list(&self, snapshot: &Snapshot) -> Vec<Node> {
        let replies = self.auxiliaries.status(&self.auxiliaries.registered()).await;
        let mut said: Vec<_> = replies.into_iter().map(|reply| (reply.node, reply.answer)).collect();
        let shares: Vec<(&NodeId, f64)> = snapshot.routing().shares().collect();
        let node = |member: &Member| {
            let is_auxiliary = member.role == Role::Auxiliary;
            let answer = said.iter().position(|(id, _)| is_auxiliary && *id == member.id);
            let answer = answer.map(|place| said.swap_remove(place).1);
            let share = shares.iter().find(|(id, _)| is_auxiliary && **id == member.id);
            Node {
                leads: member.role == Role::Master && snapshot.leader().is_some_and(|leader| leader.node_id == member.id),
                share: share.map(|(_, share)| *share),
                auxiliary: is_auxiliary.then(|| AuxiliaryNode {
                    status: match answer {
                        Some(answer) => answer.map_err(|error| error.to_string()),
                        None => Err("it registered just now".to_owned()),
                    },
                    draining: snapshot.drains().get(&member.id) == Some(&member.boot_id),
                }),
                member: member.clone(),
            }
        };
        snapshot.members().map(node).collect()
    }

    /// What runs in the background here.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskStatus> {
        self.tasks.list()
    }

    /// Where a node that joins finds the control store. With the built-in engine, every registered master, and those that
    /// began the cluster: some may be starting just now.
    #[must_use]
    pub fn join(&self) -> JoinAnswer {
        let control = match &self.control {
            ControlEndpoints::Etcd { .. } => self.control.clone(),
            ControlEndpoints::Remote { masters } => {
                let snapshot = self.snapshot();
                let mut known: Vec<String> = snapshot
                    .with_role(Role::Master)
                    .map(|member| member.address.clone())
                    .collect();
                for master in masters {
                    if !known.contains(master) {
                        known.push(master.clone());
                    }
                }
                ControlEndpoints::Remote { masters: known }
            }
        };
        JoinAnswer { control }
    }
}

/// The masters that began the cluster, or this one.
fn founders(settings: &Settings, address: &str) -> Vec<String> {
    let initial = settings.initial_cluster().unwrap_or_default();
    let mut known: Vec<String> = initial.into_iter().map(|member| member.address).collect();
    if known.is_empty() {
        known.push(address.to_owned());
    }
    known
}
