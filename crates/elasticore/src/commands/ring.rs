//! `ring`: which auxiliaries own a key, or all keys.

use api::member::Phase;
use clap::Args;
use serde::Deserialize;

use super::percent;
use crate::client::{Client, Request};
use crate::exit::Exit;
use crate::output::{Output, Table};

/// Arguments of `ring`.
#[derive(Debug, Args)]
pub(crate) struct RingArgs {
    /// A key to place, which need not exist; without it the members of the ring are shown.
    #[arg(long)]
    key: Option<String>,
    /// Namespace of the key.
    #[arg(long, visible_alias = "ns", value_name = "NAME", requires = "key")]
    namespace: Option<String>,
}

/// Answer of `GET /ring?key=`.
#[derive(Debug, Deserialize)]
struct Placement {
    key: String,
    epoch: u64,
    #[serde(default)]
    phase: Phase,
    owners: Vec<Owner>,
}

/// An owner of a key.
#[derive(Debug, Deserialize)]
struct Owner {
    node: String,
    address: Option<String>,
}

/// Answer of `GET /ring`.
#[derive(Debug, Deserialize)]
struct Ring {
    epoch: u64,
    phase: Phase,
    replicas: u32,
    members: Vec<Node>,
    previous: Option<Vec<Node>>,
}

/// A member of the ring.
#[derive(Debug, Deserialize)]
struct Node {
    node: String,
    weight: u32,
    zone: Option<String>,
    share: Option<f64>,
    lost: bool,
}

pub(super) async fn run(RingArgs { key, namespace }: RingArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let places_a_key = key.is_some();
    let answer = client
        .send(&Request::get("/ring").query("key", key).query("ns", namespace))
        .await?;
    let (body, table) = if places_a_key {
        let (body, placement) = answer.json::<Placement>().await?;
        (body, owners(&placement))
    } else {
        let (body, ring) = answer.json::<Ring>().await?;
        (body, members(&ring))
    };
    if output.is_json() {
        output.json(&body)?;
    } else {
        output.table(&table)?;
    }
    Ok(Exit::Ok)
}

/// A line an owner, the primary first.
fn owners(placement: &Placement) -> Table {
    let mut table = Table::new(["KEY", "OWNER", "PART", "ADDRESS", ">EPOCH", "PHASE"]);
    let parts = std::iter::once("primary").chain(std::iter::repeat("copy"));
    for (owner, part) in placement.owners.iter().zip(parts) {
        table.row([
            &*placement.key,
            &*owner.node,
            part,
            owner.address.as_deref().unwrap_or_default(),
            &*placement.epoch.to_string(),
            placement.phase.as_str(),
        ]);
    }
    table
}

/// A line a member; while the ring changes, those of before too.
fn members(ring: &Ring) -> Table {
    let mut table = Table::new(["NODE", "PART", ">SHARE", ">WEIGHT", "ZONE", ">COPIES", ">EPOCH", "PHASE"]);
    let current = ring.members.iter().map(|node| (node, "member"));
    let before = ring.previous.iter().flatten();
    let previous = before.map(|node| (node, if node.lost { "previous, lost" } else { "previous" }));
    for (node, part) in current.chain(previous) {
        table.row([
            node.node.clone(),
            part.to_owned(),
            node.share.map(percent).unwrap_or_default(),
            node.weight.to_string(),
            node.zone.clone().unwrap_or_default(),
            ring.replicas.to_string(),
            ring.epoch.to_string(),
            ring.phase.as_str().to_owned(),
        ]);
    }
    table
}
