//! `jobs`: SQL over files, run on the workers.

mod format;
mod list;
mod progress;
mod result;
mod status;
mod submit;
mod table_spec;
mod tasks;
mod watch;

use api::JobId;
use clap::{Args, Subcommand};

use crate::client::Client;
use crate::exit::Exit;
use crate::output::Output;

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// Submit a SQL query.
    Submit(submit::SubmitArgs),
    /// Show one job.
    Status(IdArgs),
    /// Follow a job to its end; exit code 6 when it fails or is cancelled.
    Watch(IdArgs),
    /// Show the stages of a job and what each does.
    Plan(status::PlanArgs),
    /// Show the tasks of a job: who ran each, how long, and what went wrong.
    Tasks(tasks::TasksArgs),
    /// Fetch the result of a succeeded job.
    Result(result::ResultArgs),
    /// Cancel a job.
    Cancel(IdArgs),
    /// List jobs, newest first.
    List(list::ListArgs),
}

/// Names a job.
#[derive(Debug, Args)]
pub(crate) struct IdArgs {
    /// Id of the job.
    id: JobId,
    /// Namespace of the job.
    #[arg(long = "namespace", visible_alias = "ns", value_name = "NAME")]
    namespace: Option<String>,
}

pub(crate) async fn run(command: JobsCommand, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        JobsCommand::Submit(arguments) => submit::run(arguments, client, output).await,
        JobsCommand::Status(arguments) => status::run(&arguments, client, output).await,
        JobsCommand::Watch(arguments) => watch::run(&arguments, client, output).await,
        JobsCommand::Plan(arguments) => status::plan(&arguments, client, output).await,
        JobsCommand::Tasks(arguments) => tasks::run(&arguments, client, output).await,
        JobsCommand::Result(arguments) => result::run(&arguments, client, output).await,
        JobsCommand::Cancel(arguments) => status::cancel(&arguments, client, output).await,
        JobsCommand::List(arguments) => list::run(arguments, client, output).await,
    }
}
