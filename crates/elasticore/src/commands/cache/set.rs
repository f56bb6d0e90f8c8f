//! `cache set`.

use api::cache::Entry;
use bytes::Bytes;
use clap::Args;

use super::{EntryArgs, by_path, by_query};
use crate::client::{Client, Request};
use crate::commands::{fits_a_segment, parse_ttl};
use crate::exit::{Exit, UsageError};
use crate::output::{Output, printable};
use crate::value::Value;

/// Longest value sent in a URL, which is the only way for keys that are no path segment.
const MAX_URL_VALUE: usize = 4096;

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
    /// Time for which the entry is still served after that, as stale, while it is loaded anew.
    #[arg(long, value_name = "DURATION", value_parser = parse_ttl, requires = "ttl")]
    stale: Option<String>,
    /// Only when the cache does not hold the key; exit code 4 otherwise.
    #[arg(long)]
    if_absent: bool,
    /// Content-Type to give back with the value.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
}

pub(super) async fn run(arguments: SetArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let SetArgs {
        entry,
        value,
        ttl,
        stale,
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
        .query("stale", stale)
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
