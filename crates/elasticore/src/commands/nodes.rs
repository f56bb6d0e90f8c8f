//! `nodes`: who is in the cluster.

use api::member::{Member, Role};
use serde::Deserialize;

use super::ago;
use crate::client::{Client, Request};
use crate::exit::Exit;
use crate::output::{Cell, Output, Table, Tint};

/// Answer of `GET /nodes`, as far as it is used here.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Nodes {
    /// The master that leads, when the answering one knows it.
    #[cfg_attr(not(feature = "up"), expect(dead_code, reason = "only `up` waits for a leader"))]
    pub(crate) leader: Option<String>,
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
    /// Part of all keys that it owns, when it is in the ring.
    #[serde(default)]
    pub(crate) share: Option<f64>,
}

/// The question.
pub(crate) fn request() -> Request {
    Request::get("/nodes")
}

pub(super) async fn run(client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let (body, Nodes { nodes, .. }) = client.send(&request()).await?.json::<Nodes>().await?;
    if output.is_json() {
        output.json(&body)?;
    } else {
        output.table(&table(nodes))?;
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
        "ZONE",
        "STARTED",
        "VERSION",
    ]);
    for Node { member, leader, share } in nodes {
        let role = match (member.role, leader) {
            (Role::Master, true) => Cell::tinted("master, leader", Tint::Good),
            (role, _) => role.into(),
        };
        table.row([
            member.id.into(),
            role,
            member.address.into(),
            member.public_address.unwrap_or_default().into(),
            share.map(|share| format!("{:.1}%", share * 100.0)).unwrap_or_default().into(),
            member.zone.unwrap_or_default().into(),
            ago(member.started_at_ms).into(),
            member.version.into(),
        ]);
    }
    table
}
