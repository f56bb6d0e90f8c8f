//! `cache`: entries of the distributed cache.

use std::path::{Path, PathBuf};

use api::cache::{Encoding, Entry};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::{Args, Subcommand};

use super::{fits_a_segment, parse_ttl};
use crate::client::{Answer, Client, Request, segment};
use crate::exit::{Exit, UsageError};
use crate::output::{Output, Sink, printable};
use crate::value::Value;

/// Longest value sent in a URL, which is the only way for keys that are no path segment.
const MAX_URL_VALUE: usize = 4096;

/// What to do with entries.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Write a value to standard output, byte for byte.
    Get(GetArgs),
    /// Store a value.
    Set(SetArgs),
    /// Remove an entry.
    Delete(DeleteArgs),
}

/// Names an entry.
#[derive(Debug, Args)]
pub(crate) struct EntryArgs {
    /// The key, 1 to 1024 bytes.
    key: String,
    /// Namespace of the key.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
}

/// Arguments of `cache get`.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    entry: EntryArgs,
    /// Write to a file instead.
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Arguments of `cache set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    #[command(flatten)]
    entry: EntryArgs,
    /// The value; `-` for standard input, `@FILE` for a file (`@@text` for a text that begins with @).
    #[arg(allow_hyphen_values = true)]
    value: String,
    /// Time to live: seconds, or a duration such as 5m.
    #[arg(long, value_name = "DURATION", value_parser = parse_ttl, allow_hyphen_values = true)]
    ttl: Option<String>,
    /// Only when the cache does not hold the key; exit code 4 otherwise.
    #[arg(long)]
    if_absent: bool,
    /// Content-Type to give back with the value.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
}

/// Arguments of `cache delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    entry: EntryArgs,
}

pub(crate) async fn run(command: CacheCommand, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        CacheCommand::Get(arguments) => get(arguments, client, output).await,
        CacheCommand::Set(arguments) => set(arguments, client, output).await,
        CacheCommand::Delete(arguments) => delete(arguments, client, output).await,
    }
}

async fn get(GetArgs { entry, file }: GetArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    if output.is_json() {
        let body = client.send(&by_query(Request::get("/cache/"), &entry)).await?.bytes().await?;
        output.json(&body)?;
    } else if fits_a_segment(&entry.key) {
        let answer = client.send(&by_path(Request::get, &entry)).await?;
        save(answer, file.as_deref(), output).await?;
    } else {
        let (_, held) = client
            .send(&by_query(Request::get("/cache/"), &entry))
            .await?
            .json::<Entry>()
            .await?;
        let mut sink = Sink::open(file.as_deref(), output)?;
        sink.write(&bytes_of(held)?)?;
        sink.finish()?;
    }
    Ok(Exit::Ok)
}

/// Streams the body of an answer to a file or to standard output.
pub(super) async fn save(mut answer: Answer, file: Option<&Path>, output: &mut Output) -> anyhow::Result<()> {
    let mut sink = Sink::open(file, output)?;
    while let Some(chunk) = answer.chunk().await? {
        sink.write(&chunk)?;
    }
    sink.finish()
}

async fn set(arguments: SetArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let SetArgs {
        entry,
        value,
        ttl,
        if_absent,
        content_type,
    } = arguments;
    let value = Value::from(value.as_str()).read()?;
    let request = if fits_a_segment(&entry.key) {
        by_path(Request::put, &entry).header("content-type", content_type).body(value)
    } else {
        by_query(Request::put("/cache/"), &entry).query("value", Some(text_for_url(value)?))
    };
    let request = request
        .query("ttl", ttl.as_ref())
        .header("if-none-match", if_absent.then_some("*"));
    let answer = client.send(&request).await?;
    let stored = if answer.is_json() {
        answer.json::<Entry>().await?.1
    } else {
        Entry {
            key: entry.key,
            value: None,
            encoding: None,
            version: answer.etag().unwrap_or_default(),
            ttl: ttl.and_then(|ttl| Some(ttl.parse::<settings::HumanDuration>().ok()?.0.as_secs())),
            node: answer.header(api::headers::CACHE_NODE).unwrap_or_default().to_owned(),
        }
    };
    if output.is_json() {
        output.json(&serde_json::to_vec(&stored)?)?;
    } else {
        output.line(format_args!(
            "stored {} on {}, version {}",
            printable(&stored.key),
            stored.node,
            stored.version
        ))?;
    }
    Ok(Exit::Ok)
}

async fn delete(DeleteArgs { entry }: DeleteArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
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

fn by_path(method: fn(String) -> Request, entry: &EntryArgs) -> Request {
    method(format!("/cache/{}", segment(&entry.key))).query("ns", entry.namespace.as_ref())
}

fn by_query(request: Request, entry: &EntryArgs) -> Request {
    request.query("key", Some(&entry.key)).query("ns", entry.namespace.as_ref())
}

fn text_for_url(value: Bytes) -> Result<String, UsageError> {
    let refuse = |what: &str| {
        UsageError(format!(
            "a key that begins with _ takes only {what} as value; choose another key"
        ))
    };
    if value.len() > MAX_URL_VALUE {
        return Err(refuse(&format!("up to {MAX_URL_VALUE} bytes")));
    }
    String::from_utf8(value.into()).map_err(|_| refuse("UTF-8 text"))
}

fn bytes_of(entry: Entry) -> anyhow::Result<Vec<u8>> {
    let value = entry.value.unwrap_or_default();
    match entry.encoding {
        None => Ok(value.into_bytes()),
        Some(Encoding::Base64) => Ok(STANDARD.decode(value)?),
    }
}
