//! `jobs tasks`: each part of a job and what became of it.

use api::job_tasks::{JobTask, JobTasks, TaskState};
use clap::Args;

use super::IdArgs;
use crate::client::{Client, Request};
use crate::exit::Exit;
use crate::output::{Cell, Output, Table};

/// Arguments of `jobs tasks`.
#[derive(Debug, Args)]
pub(crate) struct TasksArgs {
    #[command(flatten)]
    of: IdArgs,
    /// Only tasks of this stage.
    #[arg(long, value_name = "N")]
    stage: Option<u32>,
    /// Only tasks in this state.
    #[arg(long, value_name = "STATE", value_parser = ["pending", "running", "done"])]
    state: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Only tasks after this one: what the page before says.
    #[arg(long, value_name = "STAGE.PARTITION")]
    after: Option<String>,
}

pub(super) async fn run(arguments: &TasksArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let request = Request::get(format!("/jobs/{}/tasks", arguments.of.id))
        .query("ns", arguments.of.namespace.clone())
        .query("stage", arguments.stage)
        .query("state", arguments.state.clone())
        .query("limit", Some(arguments.limit))
        .query("after", arguments.after.clone());
    let (body, tasks) = client.send(&request).await?.json::<JobTasks>().await?;
    if output.is_json() {
        output.json(&body)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(["TASK", "STATE", "WORKER", ">ATTEMPTS", ">TOOK", ">ROWS", "LAST ERROR"]);
    tasks.items.iter().for_each(|task| table.row(row(task)));
    output.table(&table)?;
    if let (Some(next), true) = (tasks.next, output.is_for_people()) {
        eprintln!("more: elasticore jobs tasks {} --after {next}", arguments.of.id);
    }
    Ok(Exit::Ok)
}

fn row(task: &JobTask) -> [Cell; 7] {
    let last = task.attempts.last();
    let took = last.and_then(|attempt| Some(attempt.finished_at_ms?.saturating_sub(attempt.started_at_ms)));
    let error = task.attempts.iter().rev().find_map(|attempt| attempt.error.clone());
    let state = match task.state {
        TaskState::Pending => "pending",
        TaskState::Running => "running",
        TaskState::Done => "done",
    };
    [
        format!("{}.{}", task.stage, task.partition).into(),
        state.to_owned().into(),
        last.map(|attempt| attempt.worker.to_string()).unwrap_or_default().into(),
        task.attempts.len().to_string().into(),
        took.map(|ms| format!("{ms} ms")).unwrap_or_default().into(),
        task.rows.to_string().into(),
        error.unwrap_or_default().into(),
    ]
}
