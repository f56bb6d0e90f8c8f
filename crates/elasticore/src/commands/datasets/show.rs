//! `datasets list` and `datasets describe`.

use api::dataset::{Dataset, DatasetList};
use indicatif::{HumanBytes, HumanCount};

use super::{DescribeArgs, ListArgs};
use crate::client::{Client, Request, segment};
use crate::commands::ago;
use crate::exit::Exit;
use crate::output::{Output, Table, printable};

/// Datasets the API gives in one page.
const PAGE: usize = 500;

pub(super) async fn list(arguments: ListArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let ListArgs { place, limit, after } = arguments;
    let mut left = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let page = |after: Option<&str>, size: usize| {
        Request::get("/datasets")
            .query("ns", place.namespace.as_deref())
            .query("limit", Some(size.min(PAGE)))
            .query("after", after)
    };
    if output.is_json() {
        let body = client.send(&page(after.as_deref(), left)).await?.bytes().await?;
        output.json(&body)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(["NAME", "FORMAT", ">FILES", ">ROWS", ">BYTES", "CHANGED"]);
    let people = output.is_for_people();
    let mut after = after;
    loop {
        let (_, listed) = client
            .send(&page(after.as_deref(), left))
            .await?
            .json::<DatasetList>()
            .await?;
        left = left.saturating_sub(listed.items.len());
        for item in listed.items {
            table.row([
                item.name,
                item.format,
                item.files.to_string(),
                rows(item.rows, people),
                bytes(item.bytes, people),
                changed(item.modified_at_ms, people),
            ]);
        }
        after = listed.next;
        if after.is_none() || left == 0 {
            break;
        }
    }
    if people && table.len() == 0 {
        eprintln!("no datasets");
    } else {
        output.table(&table)?;
    }
    Ok(Exit::Ok)
}

pub(super) async fn describe(arguments: DescribeArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let path = format!("/datasets/{}", segment(&arguments.name));
    let answer = client
        .send(&Request::get(path).query("ns", arguments.place.namespace))
        .await?;
    let (body, dataset) = answer.json::<Dataset>().await?;
    if output.is_json() {
        output.json(&body)?;
        return Ok(Exit::Ok);
    }
    let people = output.is_for_people();
    output.line(format_args!(
        "{}: {}, {} files, {} rows, {}, changed {}",
        printable(&dataset.name),
        dataset.format,
        dataset.files.len(),
        rows(dataset.rows, people),
        bytes(dataset.bytes, people),
        changed(dataset.modified_at_ms, people)
    ))?;
    let mut columns = Table::new(["COLUMN", "TYPE", "NULLS"]);
    for column in dataset.schema {
        let nulls = if column.nullable { "yes" } else { "no" };
        columns.row([column.name, column.data_type, nulls.to_owned()]);
    }
    output.table(&columns)?;
    let mut files = Table::new(["FILE", ">ROWS", ">BYTES"]);
    for file in dataset.files {
        files.row([file.path, rows(file.rows, people), bytes(file.bytes, people)]);
    }
    output.table(&files)?;
    Ok(Exit::Ok)
}

/// Rows, when they are known.
fn rows(rows: Option<u64>, people: bool) -> String {
    match rows {
        Some(rows) if people => HumanCount(rows).to_string(),
        Some(rows) => rows.to_string(),
        None => "-".to_owned(),
    }
}

fn bytes(bytes: u64, people: bool) -> String {
    if people {
        HumanBytes(bytes).to_string()
    } else {
        bytes.to_string()
    }
}

fn changed(at_ms: u64, people: bool) -> String {
    if people { ago(at_ms) } else { at_ms.to_string() }
}
