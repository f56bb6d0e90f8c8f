//! `jobs status` and `jobs cancel`: one job in words.

use std::io;
use std::time::Duration;

use api::JobId;
use api::job::{Job, JobState};

use clap::Args;

use super::{IdArgs, progress};
use crate::client::{Client, Request};
use crate::commands::ago;
use crate::exit::Exit;
use crate::output::{Cell, Output, Table, Tint, printable};

pub(super) async fn run(of: &IdArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let (body, job) = client
        .send(&request(of.id, of.namespace.as_deref()))
        .await?
        .json::<Job>()
        .await?;
    show(&body, &job, output)?;
    Ok(Exit::Ok)
}

/// Writes a job as asked for.
pub(super) fn show(body: &[u8], job: &Job, output: &mut Output) -> io::Result<()> {
    if output.is_json() {
        output.json(body)
    } else {
        output.table(&table(job))
    }
}

pub(super) async fn cancel(of: &IdArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let id = of.id;
    let request = Request::delete(format!("/jobs/{id}")).query("ns", of.namespace.clone());
    let answer = client.send(&request).await?;
    let is_json = answer.is_json();
    let body = answer.bytes().await?;
    if !output.is_json() {
        output.line(format_args!("cancelled {id}"))?;
    } else if is_json {
        output.json(&body)?;
    }
    Ok(Exit::Ok)
}

/// Arguments of `jobs plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    of: IdArgs,
    /// Write it as text, JSON, or a graph for Graphviz's dot.
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json", "dot"])]
    format: Option<String>,
}

pub(super) async fn plan(arguments: &PlanArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let usual = if output.is_json() { "json" } else { "text" };
    let request = Request::get(format!("/jobs/{}/plan", arguments.of.id))
        .query("format", Some(arguments.format.as_deref().unwrap_or(usual)))
        .query("ns", arguments.of.namespace.clone());
    let plan = client.send(&request).await?.bytes().await?;
    if output.is_json() && arguments.format.as_deref().unwrap_or(usual) == "json" {
        output.json(&plan)?;
        return Ok(Exit::Ok);
    }
    for line in String::from_utf8_lossy(&plan).lines() {
        output.line(printable(line))?;
    }
    Ok(Exit::Ok)
}

/// The question for one job.
pub(super) fn request(id: JobId, namespace: Option<&str>) -> Request {
    Request::get(format!("/jobs/{id}")).query("ns", namespace)
}

/// The exit code of a job that did not succeed, after saying why.
pub(super) fn failure(job: &Job, output: &Output) -> Option<Exit> {
    let why = match job.state {
        JobState::Succeeded => return None,
        JobState::Cancelled => anyhow::anyhow!("job {} was cancelled", job.id),
        _ => match &job.error {
            Some(problem) => anyhow::anyhow!("job {} failed: {}", job.id, problem.detail),
            None => anyhow::anyhow!("job {} failed", job.id),
        },
    };
    output.complain(&why);
    Some(Exit::JobFailed)
}

/// A state in lower case, as the API spells it.
pub(super) const fn word(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::Planning => "planning",
        JobState::Running => "running",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

/// A state as a coloured cell.
pub(super) fn cell(state: JobState) -> Cell {
    let tint = match state {
        JobState::Succeeded => Tint::Good,
        JobState::Failed | JobState::Cancelled => Tint::Bad,
        JobState::Queued | JobState::Planning | JobState::Running => Tint::Busy,
    };
    Cell::tinted(word(state), tint)
}

/// A job as a table of two columns.
fn table(job: &Job) -> Table {
    let mut table = Table::new(["JOB", &job.id.to_string()]);
    table.row([Cell::from("state"), cell(job.state)]);
    let mut row = |name: &str, text: String| table.row([name.to_owned(), text]);
    if let Some(name) = &job.name {
        row("name", name.clone());
    }
    for (key, value) in &job.labels {
        row("label", format!("{key}={value}"));
    }
    row("query", job.query.split_whitespace().collect::<Vec<_>>().join(" "));
    row("progress", progress::describe(job));
    row("submitted", ago(job.submitted_at_ms));
    if let Some(took) = took(job) {
        row("took", took);
    }
    if let Some(result) = &job.result {
        let columns: Vec<String> = result
            .columns
            .iter()
            .map(|column| format!("{} {}", column.name, column.data_type))
            .collect();
        row(
            "result",
            format!("{} rows, {} bytes: {}", result.rows, result.bytes, columns.join(", ")),
        );
    }
    if let Some(problem) = &job.error {
        row("error", printable(&problem.detail));
    }
    table
}

/// From acceptance to the end.
pub(super) fn took(job: &Job) -> Option<String> {
    let milliseconds = job.finished_at_ms?.saturating_sub(job.submitted_at_ms);
    Some(humantime::format_duration(Duration::from_millis(milliseconds)).to_string())
}
