//! `backup` and `restore`: the cache as it was.

use api::operations::{BackupListing, BackupPart, BackupReport, BackupSet, RestorePart, RestoreReport};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::HumanBytes;

use super::{ago, patience};
use crate::client::{Client, Request};
use crate::exit::Exit;
use crate::output::{Cell, Output, Table, Tint};

/// What to do with backups.
#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Have every auxiliary write a backup now.
    Create,
    /// List backups, the newest first.
    List,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// What becomes of the entries that are there.
    #[arg(long, value_enum)]
    mode: Mode,
    /// Id of the backup (`backup list` shows them); each node's newest unless given.
    #[arg(long)]
    id: Option<String>,
}

/// What becomes of the entries that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// They stay; of each key the newest version wins.
    Merge,
    /// They are dropped first.
    Replace,
}

pub(crate) async fn run(command: BackupCommand, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        BackupCommand::Create => create(client, output).await,
        BackupCommand::List => list(client, output).await,
    }
}

async fn create(client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let request = Request::post("/backup").header("prefer", patience(client));
    let (body, report) = client.send(&request).await?.json::<BackupReport>().await?;
    if output.is_json() {
        output.json(&body)?;
    } else {
        let mut table = Table::new(["BACKUP", "NODE", ">ENTRIES", ">BYTES", "ERROR"]);
        parts(&mut table, &report.id, &report.nodes);
        output.table(&table)?;
    }
    Ok(ended(report.complete))
}

async fn list(client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let (body, listing) = client.send(&Request::get("/backups")).await?.json::<BackupListing>().await?;
    if output.is_json() {
        output.json(&body)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(["BACKUP", "MADE", ">NODES", ">ENTRIES", ">BYTES", "DAMAGED"]);
    for BackupSet {
        id,
        made_at_ms,
        entries,
        bytes,
        nodes,
    } in &listing.items
    {
        let damaged: Vec<&str> = nodes
            .iter()
            .filter(|part| part.error.is_some())
            .map(|part| part.node.as_str())
            .collect();
        table.row([
            Cell::from(id),
            made_at_ms.map(ago).unwrap_or_default().into(),
            nodes.len().into(),
            entries.into(),
            HumanBytes(*bytes).into(),
            Cell::tinted(damaged.join(", "), Tint::Bad),
        ]);
    }
    output.table(&table)?;
    for silent in &listing.unanswered {
        output.complain(&anyhow::anyhow!(
            "{} does not say what backups it has: {}",
            silent.node,
            silent.error
        ));
    }
    Ok(ended(listing.unanswered.is_empty()))
}

pub(crate) async fn restore(arguments: RestoreArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let mode = match arguments.mode {
        Mode::Merge => "merge",
        Mode::Replace => "replace",
    };
    let request = Request::post("/restore")
        .query("mode", Some(mode))
        .query("id", arguments.id)
        .header("prefer", patience(client));
    let (body, report) = client.send(&request).await?.json::<RestoreReport>().await?;
    if output.is_json() {
        output.json(&body)?;
    } else {
        output.table(&restored(&report.nodes))?;
    }
    Ok(ended(report.complete))
}

fn restored(nodes: &[RestorePart]) -> Table {
    let mut table = Table::new(["NODE", "BACKUP", "MADE", ">CLEARED", ">ENTRIES", "ERROR"]);
    for part in nodes {
        table.row([
            Cell::from(&part.node),
            part.backup.clone().unwrap_or_default().into(),
            part.made_at_ms.map(ago).unwrap_or_default().into(),
            part.cleared.map(|cleared| cleared.to_string()).unwrap_or_default().into(),
            part.entries.into(),
            Cell::tinted(part.error.clone().unwrap_or_default(), Tint::Bad),
        ]);
    }
    table
}

fn parts(table: &mut Table, id: &str, nodes: &[BackupPart]) {
    for part in nodes {
        table.row([
            Cell::from(id),
            Cell::from(&part.node),
            part.entries.into(),
            HumanBytes(part.bytes).into(),
            Cell::tinted(part.error.clone().unwrap_or_default(), Tint::Bad),
        ]);
    }
}

const fn ended(complete: bool) -> Exit {
    if complete { Exit::Ok } else { Exit::Failure }
}
