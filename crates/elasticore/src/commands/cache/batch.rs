//! `cache batch`: operations as JSON, one a line, in one request.

use anyhow::Context;
use api::batch::{BatchOp, BatchRequest, BatchResponse, BatchResult};
use clap::Args;

use crate::client::{Client, Request};
use crate::exit::{Exit, UsageError};
use crate::output::{Cell, Output, Table, Tint};
use crate::value::Value;

/// Arguments of `cache batch`.
#[derive(Debug, Args)]
pub(crate) struct BatchArgs {
    /// Operations, one JSON object a line, as in {"op":"get","key":"a"}: `-` for standard input, `@FILE` for a file. The
    /// operations are get, put, delete, touch and incr.
    operations: String,
    /// Namespace; with `*` each operation names its own.
    #[arg(long, visible_alias = "ns", value_name = "NAME")]
    namespace: Option<String>,
}

pub(super) async fn run(arguments: BatchArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let written = Value::from(arguments.operations.as_str()).read()?;
    let written = std::str::from_utf8(&written).context("the operations are no UTF-8")?;
    let request = BatchRequest { ops: read(written)? };
    let request = Request::post("/cache/_batch")
        .query("ns", arguments.namespace)
        .json(&request)?;
    let (body, BatchResponse { results }) = client.send(&request).await?.json().await?;
    if output.is_json() {
        output.json(&body)?;
    } else {
        output.table(&table(&results))?;
    }
    Ok(exit(&results))
}

fn read(written: &str) -> Result<Vec<BatchOp>, UsageError> {
    let lines = written.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    lines
        .map(|(line, number)| {
            serde_json::from_str(line).map_err(|error| UsageError(format!("operation in line {number}: {error}")))
        })
        .collect()
}

/// Misses and failed conditions are answers; what was not executed, or perhaps, is not.
fn exit(results: &[BatchResult]) -> Exit {
    match results.iter().any(|result| result.status >= 500 || result.status == 429) {
        true => Exit::Unavailable,
        false => Exit::Ok,
    }
}

fn table(results: &[BatchResult]) -> Table {
    let mut table = Table::new([">STATUS", "KEY", "VALUE"]);
    for BatchResult { status, entry, error } in results {
        let status = match status {
            ..400 => Cell::from(status),
            404 => Cell::tinted(status, Tint::Busy),
            _ => Cell::tinted(status, Tint::Bad),
        };
        let key = entry.as_ref().map_or("", |entry| entry.key.as_str());
        let value = entry.as_ref().and_then(|entry| entry.value.as_deref());
        let said = error.as_ref().map_or("", |problem| problem.detail.as_str());
        table.row([status, key.into(), value.unwrap_or(said).into()]);
    }
    table
}
