//! `jobs submit`: send a query, and perhaps wait for what it gives.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::Context;
use api::job::{Job, JobKind, JobSpec};
use clap::Args;
use settings::HumanDuration;

use super::format::ResultFormat;
use super::table_spec::NamedTable;
use super::{result, status, watch};
use crate::client::{Client, Request};
use crate::exit::{Exit, UsageError};
use crate::output::Output;
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
    /// A table the query names: NAME=PATH-OR-URI[:FORMAT], format csv, parquet or ndjson, else by extension; repeatable.
    #[arg(short = 't', long = "table", value_name = "NAME=PATH[:FORMAT]")]
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
    /// Submitting again with the same key gives the same job, not a second one.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

pub(super) async fn run(arguments: SubmitArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let wanted = result::Wanted::new(arguments.format, arguments.out.clone(), output)?;
    let waits = arguments.wait || arguments.format.is_some() || arguments.out.is_some();
    let idempotency_key = arguments.idempotency_key.clone();
    let spec = spec(arguments)?;
    let request = Request::post("/jobs")
        .header("idempotency-key", idempotency_key)
        .json(&spec)?;
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
    let job = match watch::until_final(job.id, client, output).await? {
        watch::Ended::Finished(_, job) => job,
        watch::Ended::Interrupted => return Ok(Exit::Interrupted),
    };
    if let Some(exit) = status::failure(&job, output) {
        return Ok(exit);
    }
    result::write(&job, &wanted, client, output).await?;
    Ok(Exit::Ok)
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
        result_ttl: None,
        output: None,
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
