//! `cache`: entries of the distributed cache.

mod batch;
mod change;
mod clear;
mod get;
mod set;

use std::path::Path;

use clap::{Args, Subcommand};

use crate::client::{Answer, Client, Request, segment};
use crate::exit::Exit;
use crate::output::{Output, Sink};

/// What to do with entries.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Write a value to standard output, byte for byte.
    Get(get::GetArgs),
    /// Store a value.
    Set(set::SetArgs),
    /// Give an entry another life time.
    Touch(change::TouchArgs),
    /// Add to a counter, and show its new value.
    Incr(change::IncrArgs),
    /// Remove an entry.
    Delete(change::DeleteArgs),
    /// Remove all entries of a namespace, or those whose keys begin with a prefix.
    Clear(clear::ClearArgs),
    /// Carry out many operations in one request.
    Batch(batch::BatchArgs),
}

/// Names an entry.
#[derive(Debug, Args)]
pub(crate) struct EntryArgs {
    /// The key, 1 to 1024 bytes.
    key: String,
    /// Namespace of the key.
    #[arg(long, visible_alias = "ns", value_name = "NAME")]
    namespace: Option<String>,
}

pub(crate) async fn run(command: CacheCommand, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        CacheCommand::Get(arguments) => get::run(arguments, client, output).await,
        CacheCommand::Set(arguments) => set::run(arguments, client, output).await,
        CacheCommand::Touch(arguments) => change::touch(arguments, client, output).await,
        CacheCommand::Incr(arguments) => change::incr(arguments, client, output).await,
        CacheCommand::Delete(arguments) => change::delete(arguments, client, output).await,
        CacheCommand::Clear(arguments) => clear::run(arguments, client, output).await,
        CacheCommand::Batch(arguments) => batch::run(arguments, client, output).await,
    }
}

/// Streams the body of an answer to a file or to standard output.
pub(super) async fn save(mut answer: Answer, file: Option<&Path>, output: &mut Output) -> anyhow::Result<()> {
    let mut sink = Sink::open(file, output)?;
    while let Some(chunk) = answer.chunk().await? {
        sink.write(&chunk)?;
    }
    sink.finish()
}

fn by_path(method: fn(String) -> Request, entry: &EntryArgs) -> Request {
    method(format!("/cache/{}", segment(&entry.key))).query("ns", entry.namespace.as_ref())
}

fn by_query(request: Request, entry: &EntryArgs) -> Request {
    request.query("key", Some(&entry.key)).query("ns", entry.namespace.as_ref())
}
