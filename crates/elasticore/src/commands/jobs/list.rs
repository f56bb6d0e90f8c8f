//! `jobs list`.

use std::time::{SystemTime, UNIX_EPOCH};

use api::JobId;
use api::job::{Job, JobList};
use clap::Args;
use settings::HumanDuration;

use super::status;
use crate::client::{Client, Request};
use crate::commands::ago;
use crate::exit::Exit;
use crate::output::{Cell, Output, Table};

/// Characters of a query in a drawn table.
const SHOWN: usize = 48;

/// Arguments of `jobs list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Only jobs in this state.
    #[arg(long, value_name = "STATE", value_parser = ["queued", "planning", "running", "succeeded", "failed", "cancelled"])]
    state: Option<String>,
    /// Only jobs with this label; repeatable.
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// Only jobs of this name.
    #[arg(long)]
    name: Option<String>,
    /// Only jobs submitted within this time, as in 2h.
    #[arg(long, value_name = "DURATION")]
    since: Option<HumanDuration>,
    /// Only jobs submitted longer ago than this, as in 1d.
    #[arg(long, value_name = "DURATION")]
    until: Option<HumanDuration>,
    /// Namespace of the jobs; `*` is all.
    #[arg(long = "namespace", visible_alias = "ns", value_name = "NAME")]
    namespace: Option<String>,
    /// Only jobs older than this one.
    #[arg(long, value_name = "ID")]
    after: Option<JobId>,
}

pub(super) async fn run(arguments: ListArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let request = Request::get("/jobs")
        .query("ns", arguments.namespace.as_ref())
        .query("state", arguments.state)
        .query("label", (!arguments.labels.is_empty()).then(|| arguments.labels.join(",")))
        .query("name", arguments.name)
        .query("since", arguments.since.map(before_now))
        .query("until", arguments.until.map(before_now))
        .query("limit", Some(arguments.limit))
        .query("after", arguments.after);
    let (body, list) = client.send(&request).await?.json::<JobList>().await?;
    if output.is_json() {
        output.json(&body)?;
        return Ok(Exit::Ok);
    }
    if list.items.is_empty() && output.is_for_people() {
        eprintln!("no jobs");
        return Ok(Exit::Ok);
    }
    let of_all = arguments.namespace.as_deref() == Some("*");
    let mut columns = vec!["ID", "STATE", "SUBMITTED", ">TOOK", ">TASKS", ">ROWS", "NAME OR QUERY"];
    if of_all {
        columns.insert(1, "NAMESPACE");
    }
    let mut table = Table::new(columns);
    for job in &list.items {
        let mut row = Vec::from(row(job, output.is_for_people()));
        if of_all {
            row.insert(1, job.namespace.as_str().into());
        }
        table.row(row);
    }
    output.table(&table)?;
    if let (Some(next), true) = (list.next, output.is_for_people()) {
        let namespace = arguments.namespace.map(|name| format!(" --ns '{name}'")).unwrap_or_default();
        eprintln!("more: elasticore jobs list{namespace} --after {next}");
    }
    Ok(Exit::Ok)
}

/// A time so long ago, Unix milliseconds.
fn before_now(ago: HumanDuration) -> u128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(ago.0).as_millis()
}

fn row(job: &Job, shorten: bool) -> [Cell; 7] {
    let mut title = job
        .name
        .clone()
        .unwrap_or_else(|| job.query.split_whitespace().collect::<Vec<_>>().join(" "));
    if shorten && title.chars().count() > SHOWN {
        title = title.chars().take(SHOWN - 1).chain(['…']).collect();
    }
    [
        job.id.into(),
        status::cell(job.state),
        ago(job.submitted_at_ms).into(),
        status::took(job).unwrap_or_default().into(),
        format!("{}/{}", job.progress.tasks.done, job.progress.tasks.total).into(),
        job.result
            .as_ref()
            .map(|result| result.rows.to_string())
            .unwrap_or_default()
            .into(),
        title.into(),
    ]
}
