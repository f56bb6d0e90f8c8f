//! `ring`: which auxiliaries own a key.

use clap::Args;
use serde::Deserialize;

use crate::client::{Client, Request};
use crate::exit::Exit;
use crate::output::{Output, Table};

/// Arguments of `ring`.
#[derive(Debug, Args)]
pub(crate) struct RingArgs {
    /// The key, which need not exist.
    #[arg(long)]
    key: String,
    /// Namespace of the key.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
}

/// Answer of `GET /ring`.
#[derive(Debug, Deserialize)]
struct Placement {
    key: String,
    epoch: u64,
    owners: Vec<Owner>,
}

/// An owner of a key.
#[derive(Debug, Deserialize)]
struct Owner {
    node: String,
    address: String,
}

pub(super) async fn run(RingArgs { key, namespace }: RingArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let request = Request::get("/ring").query("key", Some(key)).query("ns", namespace);
    let (body, placement) = client.send(&request).await?.json::<Placement>().await?;
    if output.is_json() {
        output.json(&body)?;
    } else {
        output.table(&table(&placement))?;
    }
    Ok(Exit::Ok)
}

/// A line an owner, the primary first.
fn table(placement: &Placement) -> Table {
    let mut table = Table::new(["KEY", "OWNER", "ADDRESS", ">EPOCH"]);
    for owner in &placement.owners {
        table.row([&placement.key, &owner.node, &owner.address, &placement.epoch.to_string()]);
    }
    table
}
