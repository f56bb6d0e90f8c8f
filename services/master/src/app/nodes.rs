//! What this master knows of the cluster, for operators and for nodes that join.

use std::sync::Arc;

use api::NodeId;
use api::member::{Member, Role};
use cluster::{ControlEndpoints, JoinAnswer, Leader, Snapshot, View};
use lifecycle::{TaskStatus, Tasks};

use crate::Settings;
use cluster::ControlEngine;

/// The cluster as this master sees it.
#[derive(Debug)]
pub struct Nodes {
    view: Arc<View>,
    tasks: Tasks,
    me: NodeId,
    control: ControlEndpoints,
}

/// A node and its part in things.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeStatus {
    /// The node.
    pub member: Member,
    /// Whether it leads.
    pub leads: bool,
    /// Part of all keys that it owns, when it is in the ring.
    pub share: Option<f64>,
}

impl Nodes {
    /// Of a master with these settings, whose private listener is at `address`.
    #[must_use]
    pub fn new(view: Arc<View>, tasks: Tasks, me: NodeId, settings: &Settings, address: &str) -> Self {
        let control = match settings.control_store {
            ControlEngine::Etcd => ControlEndpoints::Etcd {
                endpoints: settings.etcd_endpoints.0.clone(),
            },
            ControlEngine::Raft => ControlEndpoints::Remote {
                masters: vec![address.to_owned()],
            },
        };
        Self {
            view,
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
        Arc::clone(&self.view.load())
    }

    /// Who leads, when known.
    #[must_use]
    pub fn leader(&self) -> Option<Leader> {
        self.view.load().leader().cloned()
    }

    /// Every node.
    #[must_use]
    pub fn list(&self) -> Vec<NodeStatus> {
        let snapshot = self.snapshot();
        let shares: Vec<(String, f64)> = snapshot
            .routing()
            .shares()
            .map(|(id, share)| (id.to_owned(), share))
            .collect();
        let status = |member: &Member| NodeStatus {
            leads: member.role == Role::Master && snapshot.leader().is_some_and(|leader| leader.node_id == member.id),
            share: shares
                .iter()
                .find(|(id, _)| member.role == Role::Auxiliary && id == member.id.as_str())
                .map(|(_, share)| *share),
            member: member.clone(),
        };
        snapshot.members().map(status).collect()
    }

    /// What runs in the background here.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskStatus> {
        self.tasks.list()
    }

    /// Where a node that joins finds the control store. With the built-in engine, every registered master.
    #[must_use]
    pub fn join(&self) -> JoinAnswer {
        let control = match &self.control {
            ControlEndpoints::Etcd { .. } => self.control.clone(),
            ControlEndpoints::Remote { masters } => {
                let registered: Vec<String> = self
                    .view
                    .load()
                    .with_role(Role::Master)
                    .map(|member| member.address.clone())
                    .collect();
                ControlEndpoints::Remote {
                    masters: if registered.is_empty() { masters.clone() } else { registered },
                }
            }
        };
        JoinAnswer { control }
    }
}
