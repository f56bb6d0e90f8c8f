//! `kv`: keys of the strongly consistent store.

use std::path::PathBuf;

use api::cache::Encoding;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::cache::save;
use super::{fits_a_segment, parse_ttl};
use crate::client::{Answer, Client, Request, segment};
use crate::exit::{Exit, UsageError};
use crate::output::{Output, Table, printable};
use crate::value::Value;

/// Keys the API gives in one page.
const PAGE: usize = 1000;
/// Characters of a value in a drawn table.
const SHOWN: usize = 60;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KvCommand {
    /// Write a value to standard output, byte for byte.
    Get(GetArgs),
    /// Store a value; returns when it is durable.
    Set(SetArgs),
    /// Remove a key.
    Delete(DeleteArgs),
    /// List keys and values in order.
    List(ListArgs),
}

/// Whose keys.
#[derive(Debug, Args)]
struct PlaceArgs {
    /// Namespace of the keys.
    #[arg(long = "namespace", visible_alias = "ns", value_name = "NAME")]
    namespace: Option<String>,
}

/// Arguments of `kv get`.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The key, 1 to 1024 bytes.
    key: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// Write to a file instead.
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Read what the answering master knows, which may be old, but needs no majority.
    #[arg(long)]
    stale: bool,
}

/// Arguments of `kv set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The key, 1 to 1024 bytes.
    key: String,
    /// The value; `-` for standard input, `@FILE` for a file (`@@text` for a text that begins with @).
    #[arg(allow_hyphen_values = true)]
    value: String,
    /// Time to live: seconds, or a duration such as 5m.
    #[arg(long, value_name = "DURATION", value_parser = parse_ttl, allow_hyphen_values = true)]
    ttl: Option<String>,
    #[command(flatten)]
    condition: ConditionArgs,
    #[command(flatten)]
    place: PlaceArgs,
}

/// What must hold for a write; exit code 4 when it does not.
#[derive(Debug, Args)]
struct ConditionArgs {
    /// Only when the key is absent.
    #[arg(long, conflicts_with = "if_revision")]
    if_absent: bool,
    /// Only when the key was last written at this revision (`kv list` and `kv get --output json` show it).
    #[arg(long, value_name = "N")]
    if_revision: Option<u64>,
}

/// Arguments of `kv delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The key.
    key: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// Only when the key was last written at this revision.
    #[arg(long, value_name = "N")]
    if_revision: Option<u64>,
}

/// Arguments of `kv list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only keys that begin with this.
    #[arg(long, default_value = "")]
    prefix: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// At most so many; with `--output json`, the size of the one page shown (up to 1000).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Only keys after this one.
    #[arg(long, value_name = "KEY")]
    after: Option<String>,
    /// Read what the answering master knows, which may be old, but needs no majority.
    #[arg(long)]
    stale: bool,
}

/// A key as the API lists it.
#[derive(Debug, Serialize, Deserialize)]
struct Item {
    key: String,
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoding: Option<Encoding>,
    revision: u64,
}

/// A page of keys.
#[derive(Debug, Deserialize)]
struct Listing {
    items: Vec<Item>,
    next: Option<String>,
}

pub(crate) async fn run(command: KvCommand, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        KvCommand::Get(arguments) => get(arguments, client, output).await,
        KvCommand::Set(arguments) => set(arguments, client, output).await,
        KvCommand::Delete(arguments) => delete(arguments, client, output).await,
        KvCommand::List(arguments) => list(arguments, client, output).await,
    }
}

async fn get(arguments: GetArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let GetArgs { key, place, file, stale } = arguments;
    let request = Request::get(path(&key)?)
        .query("ns", place.namespace)
        .query("consistency", stale.then_some("stale"));
    let answer = client.send(&request).await?;
    if output.is_json() {
        let revision = answer.etag().unwrap_or_default();
        let (value, encoding) = match String::from_utf8(answer.bytes().await?.into()) {
            Ok(text) => (text, None),
            Err(error) => (STANDARD.encode(error.as_bytes()), Some(Encoding::Base64)),
        };
        output.json(&serde_json::to_vec(&Item {
            key,
            value,
            encoding,
            revision,
        })?)?;
    } else {
        save(answer, file.as_deref(), output).await?;
    }
    Ok(Exit::Ok)
}

async fn set(arguments: SetArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let SetArgs {
        key,
        value,
        ttl,
        condition,
        place,
    } = arguments;
    let request = Request::put(path(&key)?)
        .query("ns", place.namespace)
        .query("ttl", ttl)
        .header("if-none-match", condition.if_absent.then_some("*"))
        .header("if-match", condition.if_revision.map(tag))
        .body(Value::from(value.as_str()).read()?);
    let answer = client.send(&request).await?;
    written("stored", &key, &answer, output)
}

async fn delete(arguments: DeleteArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let DeleteArgs { key, place, if_revision } = arguments;
    let request = Request::delete(path(&key)?)
        .query("ns", place.namespace)
        .header("if-match", if_revision.map(tag));
    let answer = client.send(&request).await?;
    written("deleted", &key, &answer, output)
}

/// The API answers writes with headers alone; `--output json` gives them the names a listing has.
fn written(did: &str, key: &str, answer: &Answer, output: &mut Output) -> anyhow::Result<Exit> {
    if output.is_json() {
        output.json(&serde_json::to_vec(
            &serde_json::json!({ "key": key, "revision": answer.etag() }),
        )?)?;
    } else if let Some(revision) = answer.etag() {
        output.line(format_args!("{did} {}, revision {revision}", printable(key)))?;
    } else {
        output.line(format_args!("{did} {}", printable(key)))?;
    }
    Ok(Exit::Ok)
}

async fn list(arguments: ListArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let ListArgs {
        prefix,
        place,
        limit,
        after,
        stale,
    } = arguments;
    let page = |after: Option<&str>, size: usize| {
        Request::get("/kv")
            .query("ns", place.namespace.as_ref())
            .query("prefix", Some(&prefix))
            .query("limit", Some(size))
            .query("after", after)
            .query("consistency", stale.then_some("stale"))
    };
    let mut left = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if output.is_json() {
        let body = client.send(&page(after.as_deref(), left.min(PAGE))).await?.bytes().await?;
        output.json(&body)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(["KEY", ">REVISION", "VALUE"]);
    if !output.is_for_people() {
        output.table(&table)?;
    }
    let mut after = after;
    loop {
        let (_, listing) = client
            .send(&page(after.as_deref(), left.min(PAGE)))
            .await?
            .json::<Listing>()
            .await?;
        left = left.saturating_sub(listing.items.len());
        for item in listing.items {
            let value = if output.is_for_people() {
                shortened(&item)
            } else {
                whole(&item)
            };
            table.row([item.key, item.revision.to_string(), value]);
        }
        if !output.is_for_people() {
            output.raw(table.plain_rows().as_bytes())?;
            output.flush()?;
            table.clear();
        }
        after = listing.next;
        if after.is_none() || left == 0 {
            break;
        }
    }
    if output.is_for_people() {
        if table.len() == 0 {
            eprintln!(
                "no keys{}",
                if prefix.is_empty() {
                    String::new()
                } else {
                    format!(" that begin with {}", printable(&prefix))
                }
            );
        } else {
            output.table(&table)?;
        }
    }
    Ok(Exit::Ok)
}

fn whole(item: &Item) -> String {
    match item.encoding {
        None => item.value.clone(),
        Some(Encoding::Base64) => format!("base64:{}", item.value),
    }
}

fn shortened(item: &Item) -> String {
    let value = whole(item);
    if value.chars().count() <= SHOWN {
        return value;
    }
    value.chars().take(SHOWN - 1).chain(['…']).collect()
}

fn tag(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// The path of a key. A leading `_` is escaped: written plainly, it would name a part of the API.
fn path(key: &str) -> Result<String, UsageError> {
    if fits_a_segment(key) {
        return Ok(format!("/kv/{}", segment(key)));
    }
    match key.strip_prefix('_') {
        Some(rest) => Ok(format!("/kv/%5F{}", segment(rest))),
        None => Err(UsageError(format!("the key {key:?} cannot stand in a URL; choose another"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_but_dots_has_a_path() {
        assert_eq!(path("a/b").unwrap(), "/kv/a%2Fb");
        assert_eq!(path("_txn").unwrap(), "/kv/%5Ftxn");
        assert_eq!(path("...").unwrap(), "/kv/...");
        assert!(path("..").is_err());
    }

    #[test]
    fn long_values_are_cut_for_people_only() {
        let item = Item {
            key: "k".to_owned(),
            value: "é".repeat(100),
            encoding: None,
            revision: 1,
        };
        assert_eq!(shortened(&item).chars().count(), SHOWN);
        assert_eq!(whole(&item).chars().count(), 100);
    }
}
