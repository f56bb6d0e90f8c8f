//! `jobs submit`: send a query, and perhaps wait for what it gives.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::Context;
use api::job::{Job, JobKind, JobSpec, OutputMode, OutputSpec};
use api::job_tasks::DryRun;
use clap::Args;
use settings::HumanDuration;

use super::format::ResultFormat;
use super::table_spec::NamedTable;
use super::{result, status, watch};
use crate::client::{Answer, Client, Request};
use crate::exit::{Exit, UsageError};
use crate::output::{Output, printable};
use crate::value::{read_file, read_stdin};

/// Arguments of `jobs submit`.
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// The query, one SQL statement; `-`, or nothing, reads it from standard input.
    #[arg(value_name = "SQL", allow_hyphen_values = true, conflicts_with = "file")]
    query: Option<String>,
    /// Read the query from a file.
    #[arg(short = 'f', long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A table the query names: NAME=PATH-OR-URI[:FORMAT], NAME=dataset:SALES or NAME=kv:PREFIX; the format is told from the extension unless given; repeatable.
    #[arg(short = 't', long = "table", value_name = "NAME=PLACE[:FORMAT]")]
    tables: Vec<NamedTable>,
    /// Wait for the end and write the result.
    #[arg(short, long)]
    wait: bool,
    /// Write the result in this format, not as a table; waits for it.
    #[arg(long, value_enum)]
    format: Option<ResultFormat>,
    /// Write the result to a file; waits for it. Without --format its extension says the format.
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: Option<PathBuf>,
    /// A name for people.
    #[arg(long)]
    name: Option<String>,
    /// A label: KEY=VALUE; repeatable.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// Higher runs first.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    priority: i32,
    /// Longest run of the job, as in 10m.
    #[arg(long, value_name = "DURATION")]
    job_timeout: Option<HumanDuration>,
    /// Attempts of each task; 4 unless set.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10))]
    max_attempts: Option<u32>,
    /// Write the rows into a dataset, not a result: refused when it is there, unless `:replace` or `:append` follows.
    #[arg(long, value_name = "DATASET[:replace|append]", value_parser = parse_into, conflicts_with_all = ["format", "out"])]
    into: Option<OutputSpec>,
    /// How long the job and its result are kept after its end, as in 7d.
    #[arg(long, value_name = "DURATION")]
    result_ttl: Option<HumanDuration>,
    /// Only plan it, and show the plan.
    #[arg(long, conflicts_with_all = ["wait", "format", "out"])]
    dry_run: bool,
    /// Namespace of the job and of its datasets.
    #[arg(long = "namespace", visible_alias = "ns", value_name = "NAME")]
    namespace: Option<String>,
    /// Submitting again with the same key gives the same job, not a second one.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

pub(super) async fn run(arguments: SubmitArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let wanted = result::Wanted::new(arguments.format, arguments.out.clone(), output)?;
    let waits = arguments.wait || arguments.format.is_some() || arguments.out.is_some();
    let idempotency_key = arguments.idempotency_key.clone();
    let (namespace, dry_run) = (arguments.namespace.clone(), arguments.dry_run);
    let spec = spec(arguments)?;
    let request = Request::post("/jobs")
        .query("ns", namespace.clone())
        .query("dry_run", dry_run.then_some(true))
        .header("idempotency-key", idempotency_key)
        .json(&spec)?;
    if dry_run {
        return show_plan(client.send(&request).await?, output).await;
    }
    let (body, job) = client.send(&request).await?.json::<Job>().await?;
    if !waits {
        if output.is_json() {
            output.json(&body)?;
        } else {
            // The id alone: `id=$(elasticore jobs submit …)`.
            output.line(job.id)?;
            if output.is_for_people() {
                eprintln!(
                    "{}; follow it with `elasticore jobs watch {}`",
                    status::word(job.state),
                    job.id
                );
            }
        }
        return Ok(Exit::Ok);
    }
    let job = match watch::until_final(job.id, namespace.as_deref(), client, output).await? {
        watch::Ended::Finished(_, job) => job,
        watch::Ended::Interrupted => return Ok(Exit::Interrupted),
    };
    if let Some(exit) = status::failure(&job, output) {
        return Ok(exit);
    }
    if let Some(written) = &job.output {
        let rows = job.result.as_ref().map_or(0, |result| result.rows);
        output.line(format_args!("{rows} rows are in the dataset {}", written.dataset))?;
        return Ok(Exit::Ok);
    }
    result::write(&job, &wanted, client, output).await?;
    Ok(Exit::Ok)
}

async fn show_plan(answer: Answer, output: &mut Output) -> anyhow::Result<Exit> {
    let (body, planned) = answer.json::<DryRun>().await?;
    if output.is_json() {
        output.json(&body)?;
        return Ok(Exit::Ok);
    }
    for stage in &planned.plan.stages {
        output.line(format_args!(
            "stage {}: {} tasks, reads {:?}",
            stage.stage, stage.tasks, stage.inputs
        ))?;
        for line in stage.plan.lines() {
            output.line(printable(line))?;
        }
    }
    let columns: Vec<_> = planned
        .plan
        .columns
        .iter()
        .map(|column| format!("{} {}", column.name, column.data_type))
        .collect();
    output.line(printable(&format!("columns: {}", columns.join(", "))))?;
    output.line(format_args!("{} tasks; nothing was run", planned.estimate.tasks))?;
    Ok(Exit::Ok)
}

/// `DATASET`, `DATASET:replace` or `DATASET:append`.
fn parse_into(text: &str) -> Result<OutputSpec, String> {
    let (dataset, mode) = match text.rsplit_once(':') {
        None => (text, OutputMode::Create),
        Some((dataset, "replace")) => (dataset, OutputMode::Replace),
        Some((dataset, "append")) => (dataset, OutputMode::Append),
        Some((_, other)) => return Err(format!("{other:?} is neither replace nor append")),
    };
    if dataset.is_empty() {
        return Err("the dataset has no name".to_owned());
    }
    Ok(OutputSpec {
        dataset: dataset.to_owned(),
        mode,
    })
}

fn spec(arguments: SubmitArgs) -> anyhow::Result<JobSpec> {
    let directory = std::env::current_dir().context("the current directory is gone")?;
    let mut tables = BTreeMap::new();
    for table in &arguments.tables {
        if tables.insert(table.name.clone(), table.spec(&directory)?).is_some() {
            return Err(UsageError(format!("the table {} is given twice", table.name)).into());
        }
    }
    Ok(JobSpec {
        kind: JobKind::Sql,
        query: query(arguments.query, arguments.file)?,
        tables,
        name: arguments.name,
        labels: arguments.labels.into_iter().collect(),
        priority: arguments.priority,
        timeout: arguments.job_timeout.map(|timeout| timeout.0.as_secs().max(1)),
        max_attempts: arguments.max_attempts,
        result_ttl: arguments.result_ttl.map(|ttl| ttl.0.as_secs().max(1)),
        output: arguments.into,
    })
}

fn query(argument: Option<String>, file: Option<PathBuf>) -> anyhow::Result<String> {
    let bytes = match (argument, file) {
        (_, Some(path)) if path.as_os_str() != "-" => read_file(&path)?,
        (Some(text), _) if text != "-" => text.into_bytes(),
        _ => {
            if std::io::stdin().is_terminal() {
                eprintln!("type the query, and Ctrl-D at its end");
            }
            read_stdin()?
        }
    };
    let text = String::from_utf8(bytes).map_err(|_| UsageError("the query is not UTF-8 text".to_owned()))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(
            UsageError("the query is empty: give it as an argument, with -f FILE, or on standard input".to_owned()).into(),
        );
    }
    Ok(text.to_owned())
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is no label; write key=value")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        submit: SubmitArgs,
    }

    fn parse(arguments: &[&str]) -> anyhow::Result<JobSpec> {
        spec(Line::try_parse_from([&["submit"], arguments].concat())?.submit)
    }

    #[test]
    fn flags_become_the_specification() {
        let spec = parse(&[
            " select 1\n",
            "-t",
            "a=/x/a.csv",
            "-t",
            "b=/x/b:parquet",
            "--name",
            "n",
            "--label",
            "team=x=y",
            "--priority",
            "-3",
            "--job-timeout",
            "10m",
        ])
        .unwrap();
        assert_eq!(
            (spec.query.as_str(), spec.name.as_deref(), spec.priority, spec.timeout),
            ("select 1", Some("n"), -3, Some(600))
        );
        assert_eq!(spec.tables.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(spec.labels["team"], "x=y");
    }

    #[test]
    fn output_is_a_dataset_and_what_happens_to_one_that_is_there() {
        let mode = |text: &str| parse_into(text).map(|output| (output.dataset, output.mode));
        assert_eq!(mode("moons"), Ok(("moons".to_owned(), OutputMode::Create)));
        assert_eq!(mode("moons:append"), Ok(("moons".to_owned(), OutputMode::Append)));
        assert!(mode("moons:merge").is_err() && mode(":replace").is_err());
        let spec = parse(&["select 1", "--into", "moons:replace", "--result-ttl", "1h"]).unwrap();
        assert_eq!(
            (spec.output.map(|output| output.mode), spec.result_ttl),
            (Some(OutputMode::Replace), Some(3600))
        );
    }

    #[test]
    fn table_given_twice_is_refused() {
        let error = parse(&["select 1", "-t", "a=/x", "-t", "a=/y"]).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage);
    }

    #[test]
    fn query_comes_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "\n-- all\nselect 2;\n").unwrap();
        assert_eq!(
            parse(&["-f", file.path().to_str().unwrap()]).unwrap().query,
            "-- all\nselect 2;"
        );
        std::fs::write(file.path(), "  \n").unwrap();
        assert_eq!(
            Exit::of(&parse(&["-f", file.path().to_str().unwrap()]).unwrap_err()),
            Exit::Usage
        );
    }
}
