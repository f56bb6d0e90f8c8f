//! `auth`: API keys, and who one is.

mod keys;
mod show;

use clap::Subcommand;

use crate::client::Client;
use crate::exit::Exit;
use crate::output::Output;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum AuthCommand {
    /// Make the first key of a cluster, which may do everything. Wants the cluster token; works once.
    Init(keys::InitArgs),
    /// Make a key. It is shown this once.
    Create(keys::CreateArgs),
    /// List the keys, also those that ended in the last 30 days.
    List,
    /// One key: what it may do, and when it was used last.
    Show(keys::KeyArgs),
    /// Take a key back.
    Revoke(keys::KeyArgs),
    /// Give a key another secret, which is shown this once; the old one works for a while.
    Rotate(keys::RotateArgs),
    /// Who I am for the server, and what I may do.
    Whoami,
    /// A secret of 256 random bits, for ELASTICORE_ROOT_KEY or CLUSTER_TOKEN. Asks no server.
    Generate,
}

pub(super) async fn run(command: AuthCommand, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        AuthCommand::Init(arguments) => keys::init(arguments, client, output).await,
        AuthCommand::Create(arguments) => keys::create(arguments, client, output).await,
        AuthCommand::List => show::list(client, output).await,
        AuthCommand::Show(arguments) => show::one(&arguments.id, client, output).await,
        AuthCommand::Revoke(arguments) => keys::revoke(arguments, client, output).await,
        AuthCommand::Rotate(arguments) => keys::rotate(arguments, client, output).await,
        AuthCommand::Whoami => show::whoami(client, output).await,
        AuthCommand::Generate => keys::generate(output),
    }
}
