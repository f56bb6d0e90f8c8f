//! `cluster`: the members of the control store, and the store as a file.

mod change;
mod restore;
mod show;
mod snapshot;

use clap::Subcommand;

use crate::client::Client;
use crate::exit::Exit;
use crate::output::Output;

/// What to do with the control store.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// How it is: leader, term, indexes, sizes, and how far each member is. Exit code 5 when there is no majority.
    Status,
    /// List its members.
    List,
    /// Make a place for another master, which then starts with RAFT_JOIN. It becomes a voter by itself.
    Add(change::AddArgs),
    /// Take a member out for good; also the leader, and one that is dead.
    Remove(change::RemoveArgs),
    /// Have another member lead.
    TransferLeader(change::TransferArgs),
    /// Save all of it to a file, while it works.
    Snapshot(snapshot::SnapshotArgs),
    /// Make a new directory of one master from such a file. Asks no server: run it where the master will run.
    Restore(restore::RestoreArgs),
}

pub(super) async fn run(command: ClusterCommand, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        ClusterCommand::Status => show::status(client, output).await,
        ClusterCommand::List => show::list(client, output).await,
        ClusterCommand::Add(arguments) => change::add(arguments, client, output).await,
        ClusterCommand::Remove(arguments) => change::remove(arguments, client, output).await,
        ClusterCommand::TransferLeader(arguments) => change::transfer_leader(arguments, client, output).await,
        ClusterCommand::Snapshot(arguments) => snapshot::run(arguments, client, output).await,
        ClusterCommand::Restore(arguments) => restore::run(arguments, output).await,
    }
}
