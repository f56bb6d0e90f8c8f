//! `datasets`: files that are queried as tables.

mod fetch;
mod files;
mod put;
mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::client::{Client, Request, segment};
use crate::exit::Exit;
use crate::output::Output;

/// What to do with datasets.
#[derive(Debug, Subcommand)]
pub(crate) enum DatasetsCommand {
    /// List datasets.
    List(ListArgs),
    /// Show a dataset: its columns, rows, bytes and files.
    Describe(DescribeArgs),
    /// Upload files, or directories of them.
    Put(PutArgs),
    /// Write a file of a dataset to standard output, byte for byte.
    Get(GetArgs),
    /// Remove a dataset, or one of its files.
    Delete(DeleteArgs),
}

/// Where datasets are.
#[derive(Debug, Args)]
struct PlaceArgs {
    /// Namespace of the dataset.
    #[arg(long, visible_alias = "ns", value_name = "NAME")]
    namespace: Option<String>,
}

/// Arguments of `datasets list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// At most so many; with `--output json`, the size of the one page shown (up to 500).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Only datasets after this one.
    #[arg(long, value_name = "NAME")]
    after: Option<String>,
}

/// Arguments of `datasets describe`.
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// The dataset.
    name: String,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Arguments of `datasets put`.
#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// The dataset; its first file makes it.
    name: String,
    /// Files and directories. A file is stored under its own name, what is in a directory under its path below that.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Store a single file under this path, as in year=2026/part-0.csv.
    #[arg(long = "as", value_name = "FILE")]
    stored_as: Option<String>,
    /// csv, tsv, ndjson or parquet, where the extension does not tell.
    #[arg(long)]
    format: Option<String>,
    /// Only files that are not there yet; exit code 4 at the first that is.
    #[arg(long)]
    if_absent: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Arguments of `datasets get`.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The dataset.
    name: String,
    /// The file in it.
    file: String,
    /// Write to a file instead.
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Arguments of `datasets delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The dataset.
    name: String,
    /// Only this file of it.
    file: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(crate) async fn run(command: DatasetsCommand, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        DatasetsCommand::List(arguments) => show::list(arguments, client, output).await,
        DatasetsCommand::Describe(arguments) => show::describe(arguments, client, output).await,
        DatasetsCommand::Put(arguments) => put::run(arguments, client, output).await,
        DatasetsCommand::Get(arguments) => fetch::run(arguments, client, output).await,
        DatasetsCommand::Delete(arguments) => delete(arguments, client, output).await,
    }
}

async fn delete(DeleteArgs { name, file, place }: DeleteArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let path = match &file {
        Some(file) => path_of(&name, file),
        None => format!("/datasets/{}", segment(&name)),
    };
    client.send(&Request::delete(path).query("ns", place.namespace)).await?;
    if output.is_json() {
        output.json(&serde_json::to_vec(&serde_json::json!({ "dataset": name, "file": file }))?)?;
    } else {
        let what = file.map_or(name.clone(), |file| format!("{name}/{file}"));
        output.line(format_args!("deleted {}", crate::output::printable(&what)))?;
    }
    Ok(Exit::Ok)
}

/// The path of a file: its slashes stay slashes.
fn path_of(name: &str, file: &str) -> String {
    let file: Vec<String> = file.split('/').map(segment).collect();
    format!("/datasets/{}/{}", segment(name), file.join("/"))
}
