//! `cache clear`.

use api::operations::Deleted;
use clap::Args;

use crate::client::{Client, Request};
use crate::exit::Exit;
use crate::output::Output;

/// Arguments of `cache clear`: what to remove must be said.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct ClearArgs {
    /// Only keys that begin with it.
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// In this namespace, instead of the default one.
    #[arg(long, visible_alias = "ns", value_name = "NAME")]
    namespace: Option<String>,
    /// Everything in the default namespace.
    #[arg(long, conflicts_with_all = ["prefix", "namespace"])]
    all: bool,
}

pub(super) async fn run(arguments: ClearArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let request = Request::post("/cache/_delete")
        .query("prefix", arguments.prefix)
        .query("ns", arguments.namespace)
        .query("all", arguments.all.then_some(true));
    let (body, Deleted { deleted }) = client.send(&request).await?.json().await?;
    if output.is_json() {
        output.json(&body)?;
    } else {
        output.line(format_args!(
            "removed {deleted} {}",
            if deleted == 1 { "entry" } else { "entries" }
        ))?;
    }
    Ok(Exit::Ok)
}
