//! `jobs result`, and the result of `jobs submit --wait`: bytes in a format, or a table.

use std::path::PathBuf;

use api::JobId;
use api::job::Job;
use clap::{Args, ValueEnum};

use super::format::ResultFormat;
use super::status;
use crate::client::{Answer, Client, Request};
use crate::commands::cache::save;
use crate::exit::{Exit, UsageError};
use crate::output::{Output, Table, fields};

/// Rows of a drawn table; more are for a file or a pipe.
const DRAWN_ROWS: usize = 1000;
/// Rows after which a plain table is sent on.
const PLAIN_ROWS: usize = 1000;

/// Arguments of `jobs result`.
#[derive(Debug, Args)]
pub(crate) struct ResultArgs {
    /// Id of the job.
    id: JobId,
    /// Namespace of the job.
    #[arg(long = "namespace", visible_alias = "ns", value_name = "NAME")]
    namespace: Option<String>,
    /// Write it in this format, not as a table.
    #[arg(long, value_enum)]
    format: Option<ResultFormat>,
    /// Write it to a file. Without --format its extension says the format.
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Where a result goes, and as what; no format means a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    format: Option<ResultFormat>,
    file: Option<PathBuf>,
}

impl Wanted {
    /// Puts the flags together, before any work is done.
    pub(super) fn new(format: Option<ResultFormat>, file: Option<PathBuf>, output: &Output) -> Result<Self, UsageError> {
        let format = match (format, &file) {
            (Some(format), _) => Some(format),
            (None, Some(file)) => Some(format_of(file)?),
            (None, None) => output.is_json().then_some(ResultFormat::Json),
        };
        if let Some(format) = format {
            format.check(file.is_some(), output)?;
        }
        Ok(Self { format, file })
    }
}

fn format_of(file: &std::path::Path) -> Result<ResultFormat, UsageError> {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let extension = if extension == "jsonl" { "ndjson" } else { extension };
    ResultFormat::from_str(extension, true).map_err(|_| {
        UsageError(format!(
            "{} does not end in a format's name: add --format json, ndjson, csv, arrow or parquet",
            file.display()
        ))
    })
}

pub(super) async fn run(arguments: &ResultArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let wanted = Wanted::new(arguments.format, arguments.out.clone(), output)?;
    let (_, job) = client
        .send(&status::request(arguments.id, arguments.namespace.as_deref()))
        .await?
        .json::<Job>()
        .await?;
    if job.state.is_final()
        && let Some(exit) = status::failure(&job, output)
    {
        return Ok(exit);
    }
    write(&job, &wanted, client, output).await?;
    Ok(Exit::Ok)
}

/// Fetches the result of a succeeded job and writes it.
pub(super) async fn write(job: &Job, wanted: &Wanted, client: &Client, output: &mut Output) -> anyhow::Result<()> {
    let format = wanted.format.unwrap_or(ResultFormat::Ndjson);
    let request = Request::get(format!("/jobs/{}/result", job.id))
        .query("format", Some(format))
        .query("ns", Some(&job.namespace).filter(|name| !name.is_empty()));
    let answer = client.send(&request).await?;
    if wanted.format.is_some() {
        save(answer, wanted.file.as_deref(), output).await?;
        if let (Some(file), Some(result)) = (&wanted.file, &job.result) {
            eprintln!("wrote {} rows to {}", result.rows, file.display());
        }
        return Ok(());
    }
    table(job, answer, output).await
}

async fn table(job: &Job, mut answer: Answer, output: &mut Output) -> anyhow::Result<()> {
    let columns = job
        .result
        .as_ref()
        .map(|result| result.columns.as_slice())
        .unwrap_or_default();
    let mut table = Table::of_result(
        columns.iter().map(|column| column.name.clone()).collect(),
        columns.iter().map(|column| is_number(&column.data_type)).collect(),
    );
    let for_people = output.is_for_people();
    if !for_people {
        output.table(&table)?;
    }
    let (mut seen, mut rest) = (0_u64, Vec::new());
    while let Some(chunk) = answer.chunk().await? {
        rest.extend_from_slice(&chunk);
        let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else {
            continue;
        };
        for line in rest[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            seen += 1;
            if !for_people || table.len() < DRAWN_ROWS {
                table.row(cells(line)?);
            }
            if !for_people && table.len() >= PLAIN_ROWS {
                output.raw(table.plain_rows().as_bytes())?;
                table.clear();
            }
        }
        rest.drain(..=end);
    }
    if !rest.is_empty() {
        seen += 1;
        table.row(cells(&rest)?);
    }
    if for_people {
        output.table(&table)?;
        output.flush()?;
        let took = status::took(job).map(|took| format!(" in {took}")).unwrap_or_default();
        eprintln!("{seen} rows{took} (job {})", job.id);
        if seen > DRAWN_ROWS as u64 {
            eprintln!(
                "the first {DRAWN_ROWS} are shown: `elasticore jobs result {} -o FILE.csv` fetches all",
                job.id
            );
        }
    } else {
        output.raw(table.plain_rows().as_bytes())?;
    }
    Ok(())
}

fn cells(line: &[u8]) -> anyhow::Result<Vec<String>> {
    Ok(fields(std::str::from_utf8(line)?)?
        .into_iter()
        .map(|(_, value)| value)
        .collect())
}

/// Whether an Arrow type is written as a number, and so aligned to the right.
fn is_number(data_type: &str) -> bool {
    let bits = ["Int", "UInt", "Float", "Decimal"]
        .iter()
        .find_map(|kind| data_type.strip_prefix(kind));
    bits.is_some_and(|bits| bits.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn extension_says_the_format() {
        assert_eq!(format_of(Path::new("a/b.parquet")), Ok(ResultFormat::Parquet));
        assert!(format_of(Path::new("b.JSONL")).is_err());
        assert_eq!(format_of(Path::new("b.jsonl")), Ok(ResultFormat::Ndjson));
        assert!(format_of(Path::new("b.txt")).is_err());
        assert!(format_of(Path::new("csv")).is_err());
    }

    #[test]
    fn numbers_are_known_by_their_arrow_type() {
        assert!(is_number("Int64") && is_number("UInt8") && is_number("Decimal128(15, 2)") && is_number("Float64"));
        assert!(!is_number("Utf8View") && !is_number("Interval(YearMonth)") && !is_number("Date32"));
    }
}
