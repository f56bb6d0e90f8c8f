//! `cache touch`, `cache incr` and `cache delete`.

use api::cache::Entry;
use clap::Args;
use serde::Deserialize;

use super::{EntryArgs, by_query};
use crate::client::{Client, Request};
use crate::commands::parse_ttl;
use crate::exit::Exit;
use crate::output::{Output, printable};

/// Arguments of `cache touch`.
#[derive(Debug, Args)]
pub(crate) struct TouchArgs {
    #[command(flatten)]
    entry: EntryArgs,
    /// Time to live from now on: seconds, or a duration such as 5m.
    #[arg(long, value_name = "DURATION", value_parser = parse_ttl, allow_hyphen_values = true)]
    ttl: String,
    /// Time for which the entry is still served after that, as stale.
    #[arg(long, value_name = "DURATION", value_parser = parse_ttl)]
    stale: Option<String>,
}

/// Arguments of `cache incr`.
#[derive(Debug, Args)]
pub(crate) struct IncrArgs {
    #[command(flatten)]
    entry: EntryArgs,
    /// How much to add; a negative number subtracts.
    #[arg(long, value_name = "N", default_value_t = 1, allow_hyphen_values = true)]
    by: i64,
}

/// Arguments of `cache delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    entry: EntryArgs,
}

/// Answer of an increment.
#[derive(Debug, Deserialize)]
struct Counter {
    value: i64,
}

pub(super) async fn touch(arguments: TouchArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let TouchArgs { entry, ttl, stale } = arguments;
    let request = by_query(Request::post("/cache/_touch"), &entry)
        .query("ttl", Some(ttl))
        .query("stale", stale);
    let (body, touched) = client.send(&request).await?.json::<Entry>().await?;
    if output.is_json() {
        output.json(&body)?;
    } else {
        let left = touched.ttl.map_or_else(String::new, |ttl| format!(", {ttl} s to live"));
        output.line(format_args!("touched {}{left}", printable(&touched.key)))?;
    }
    Ok(Exit::Ok)
}

pub(super) async fn incr(IncrArgs { entry, by }: IncrArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let request = by_query(Request::post("/cache/_incr"), &entry).query("by", Some(by));
    let (body, Counter { value }) = client.send(&request).await?.json().await?;
    if output.is_json() {
        output.json(&body)?;
    } else {
        output.line(value)?;
    }
    Ok(Exit::Ok)
}

pub(super) async fn delete(DeleteArgs { entry }: DeleteArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let body = client
        .send(&by_query(Request::delete("/cache/"), &entry))
        .await?
        .bytes()
        .await?;
    if output.is_json() {
        output.json(&body)?;
    } else {
        output.line(format_args!("deleted {}", printable(&entry.key)))?;
    }
    Ok(Exit::Ok)
}
