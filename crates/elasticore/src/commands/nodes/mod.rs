//! `nodes`: who is in the cluster, and who leaves its ring.

mod change;
mod progress;

use api::Epoch;
use api::cache::NodeStatus;
use api::member::{Member, Phase, Role};
use api::operations::SyncTotals;
use clap::{Args, Subcommand};
use indicatif::HumanBytes;
use serde::Deserialize;

use super::{ago, percent};
use crate::client::{Client, Request};
use crate::exit::Exit;
use crate::output::{Cell, Output, Table, Tint};

/// Arguments of `nodes`.
#[derive(Debug, Args)]
pub(crate) struct NodesArgs {
    #[command(subcommand)]
    command: Option<NodesCommand>,
}

/// What to have done.
#[derive(Debug, Subcommand)]
pub(crate) enum NodesCommand {
    /// Have an auxiliary hand over what it holds and leave the ring; then it may be stopped.
    Drain(change::DrainArgs),
    /// Have all auxiliaries compare what they hold, and fetch what they lack.
    Rebalance(change::RebalanceArgs),
}

/// Answer of `GET /nodes`, as far as it is used here.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Nodes {
    /// The master that leads, when the answering one knows it.
    #[cfg_attr(not(feature = "up"), expect(dead_code, reason = "only `up` waits for a leader"))]
    pub(crate) leader: Option<String>,
    /// Epoch of the ring.
    #[serde(default)]
    epoch: u64,
    /// How far a change of the ring has come.
    #[serde(default)]
    phase: Phase,
    /// Revision of the control store that wrote the ring.
    #[serde(default)]
    ring_revision: u64,
    /// Whether a rebalance was asked for that has not begun.
    #[serde(default)]
    rebalancing: bool,
    /// Every registered node.
    pub(crate) nodes: Vec<Node>,
}

/// A member, and what the answering master adds.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Node {
    /// What it registered.
    #[serde(flatten)]
    pub(crate) member: Member,
    /// Whether it leads.
    #[serde(default)]
    leader: bool,
    /// Part of all keys that it is the primary of, when it is in the ring.
    #[serde(default)]
    pub(crate) share: Option<f64>,
    /// Whether it was asked to leave the ring.
    #[serde(default)]
    draining: bool,
    /// What it says of itself.
    #[serde(default)]
    cache: Option<NodeStatus>,
    /// Whether a worker gets no tasks for a while.
    #[serde(default)]
    left_out: Option<bool>,
}

impl Nodes {
    /// What range syncs have done, those of epoch `since` and later.
    fn sync_since(&self, since: Epoch) -> SyncTotals {
        let syncs = self.nodes.iter().filter_map(|node| node.cache.as_ref()?.sync.clone());
        SyncTotals::of(&syncs.collect::<Vec<_>>(), Some(since))
    }

    /// How far the range syncs of the change under way are.
    fn sync(&self) -> SyncTotals {
        self.sync_since(self.phase.syncs_from(Epoch(self.epoch)))
    }

    /// Whether a rebalance that was asked for at a revision of the control store has begun and is over.
    fn is_rebalanced_since(&self, asked: u64) -> bool {
        self.phase == Phase::Stable && !self.rebalancing && self.ring_revision > asked
    }
}

/// The question.
pub(crate) fn request() -> Request {
    Request::get("/nodes")
}

pub(super) async fn run(arguments: NodesArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    match arguments.command {
        None => list(client, output).await,
        Some(NodesCommand::Drain(arguments)) => change::drain(arguments, client, output).await,
        Some(NodesCommand::Rebalance(arguments)) => change::rebalance(arguments, client, output).await,
    }
}

async fn list(client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let (body, nodes) = client.send(&request()).await?.json::<Nodes>().await?;
    if output.is_json() {
        output.json(&body)?;
        return Ok(Exit::Ok);
    }
    let ring = format!("ring: {}, epoch {}", nodes.phase.as_str(), nodes.epoch);
    output.table(&table(nodes.nodes))?;
    // Programs read the table; `ring` shows them the rest.
    if output.is_for_people() {
        output.line(ring)?;
    }
    Ok(Exit::Ok)
}

fn table(mut nodes: Vec<Node>) -> Table {
    nodes.sort_by(|a, b| (a.member.role, a.member.id.as_str()).cmp(&(b.member.role, b.member.id.as_str())));
    let mut table = Table::new([
        "NODE",
        "ROLE",
        "ADDRESS",
        "PUBLIC ADDRESS",
        ">SHARE",
        "STATE",
        ">ENTRIES",
        ">MEMORY",
        "ZONE",
        "STARTED",
        "VERSION",
    ]);
    for node in nodes {
        let (state, cache) = (state(&node), node.cache.as_ref());
        let role = match (node.member.role, node.leader) {
            (Role::Master, true) => Cell::tinted("master, leader", Tint::Good),
            (role, _) => role.into(),
        };
        table.row([
            node.member.id.into(),
            role,
            node.member.address.into(),
            node.member.public_address.unwrap_or_default().into(),
            node.share.map(percent).unwrap_or_default().into(),
            state,
            cache.map(|cache| cache.entries.to_string()).unwrap_or_default().into(),
            cache
                .map(|cache| HumanBytes(cache.bytes).to_string())
                .unwrap_or_default()
                .into(),
            node.member.zone.unwrap_or_default().into(),
            ago(node.member.started_at_ms).into(),
            node.member.version.into(),
        ]);
    }
    table
}

/// What an auxiliary does with its part of the cache, and whether a worker gets tasks.
fn state(node: &Node) -> Cell {
    if node.left_out == Some(true) {
        return Cell::tinted("left out", Tint::Bad);
    }
    let Some(cache) = node.cache.as_ref().filter(|_| node.member.role == Role::Auxiliary) else {
        let silent = node.member.role == Role::Auxiliary;
        return if silent {
            Cell::tinted("silent", Tint::Bad)
        } else {
            "".into()
        };
    };
    let in_ring = node.share.is_some();
    match (node.draining, in_ring, cache.synced) {
        (true, true, _) => Cell::tinted("draining", Tint::Busy),
        (true, false, true) => Cell::tinted("handing over", Tint::Busy),
        (true, false, false) => "drained".into(),
        (false, true, true) => Cell::tinted("synced", Tint::Good),
        (false, true, false) => Cell::tinted("syncing", Tint::Busy),
        (false, false, _) => Cell::tinted("waiting", Tint::Busy),
    }
}
