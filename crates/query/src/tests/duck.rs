//! DuckDB, whose answers ours are compared with: a Python process that is asked one query after the other.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::Deserialize;

/// The version, from PyPI.
const PACKAGE: &str = "duckdb==2.0.0";

/// Rows as text; nulls are `None`.
pub(super) type Rows = Vec<Vec<Option<String>>>;

/// A running DuckDB.
pub(super) struct Duck {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Rows(Rows),
    Error(String),
}

impl Duck {
    /// Installs DuckDB when it is missing, and starts it.
    pub(super) fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let install = format!(". scripts/env.sh && python_with duckdb {PACKAGE}");
        let installed = Command::new("bash")
            .args(["-euc", &install])
            .current_dir(&root)
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&installed.stderr);
        assert!(installed.status.success(), "DuckDB could not be installed: {complaint}");
        let venv = String::from_utf8(installed.stdout).unwrap();
        let mut child = Command::new(Path::new(venv.trim()).join("bin/python"))
            .arg(root.join("crates/query/src/tests/duck.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (questions, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self {
            child,
            questions,
            answers: BufReader::new(answers),
        }
    }

    /// Makes a table of Parquet files known.
    pub(super) fn table(&mut self, name: &str, files: &str) {
        let sql = format!("CREATE VIEW {name} AS SELECT * FROM read_parquet('{files}', hive_partitioning = false)");
        self.ask(&sql).unwrap();
    }

    /// The rows of a query, or why there are none.
    pub(super) fn ask(&mut self, sql: &str) -> Result<Rows, String> {
        writeln!(self.questions, "{}", serde_json::to_string(sql).unwrap()).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        match serde_json::from_str(&line).unwrap() {
            Answer::Rows(rows) => Ok(rows),
            Answer::Error(error) => Err(error),
        }
    }
}

impl Drop for Duck {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Rows of the engine as text, like those of DuckDB.
pub(super) fn texts(batches: &[RecordBatch]) -> Rows {
    let options = FormatOptions::default();
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| (column.as_ref(), ArrayFormatter::try_new(column, &options).unwrap()))
            .collect();
        for row in 0..batch.num_rows() {
            let cell =
                |(column, text): &(&dyn Array, ArrayFormatter<'_>)| column.is_valid(row).then(|| text.value(row).to_string());
            rows.push(columns.iter().map(cell).collect());
        }
    }
    rows
}

/// Where two answers differ; the order counts when it is part of the question.
pub(super) fn difference(ours: &Rows, theirs: &Rows, ordered: bool) -> Option<String> {
    if ours.len() != theirs.len() {
        return Some(format!("{} rows, not {}", ours.len(), theirs.len()));
    }
    if ours.iter().zip(theirs).all(|(ours, theirs)| alike(ours, theirs)) {
        return None;
    }
    if ordered {
        let at = ours.iter().zip(theirs).position(|(ours, theirs)| !alike(ours, theirs))?;
        return Some(format!("row {at} is {:?}, not {:?}", ours[at], theirs[at]));
    }
    // Sorted by what is exact in both, rows that are alike come nearly together.
    let mut left: Vec<_> = theirs.iter().collect();
    left.sort_by_cached_key(|row| key(row));
    let mut sorted: Vec<_> = ours.iter().collect();
    sorted.sort_by_cached_key(|row| key(row));
    for row in sorted {
        match left.iter().position(|other| alike(row, other)) {
            Some(at) => drop(left.remove(at)),
            None => return Some(format!("{row:?} is not there; {:?} is", left.first())),
        }
    }
    None
}

fn key(row: &[Option<String>]) -> Vec<Option<String>> {
    let rounded = |text: &String| match text.parse::<f64>() {
        Ok(number) => format!("{number:.3e}"),
        Err(_) => text.clone(),
    };
    row.iter().map(|cell| cell.as_ref().map(rounded)).collect()
}

fn alike(ours: &[Option<String>], theirs: &[Option<String>]) -> bool {
    ours.len() == theirs.len()
        && ours
            .iter()
            .zip(theirs)
            .all(|(ours, theirs)| same(ours.as_deref(), theirs.as_deref()))
}

/// Equal, or numbers as near as a different order of additions, or a decimal's last digit, makes them.
fn same(ours: Option<&str>, theirs: Option<&str>) -> bool {
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return ours == theirs;
    };
    if ours == theirs {
        return true;
    }
    let (Ok(a), Ok(b)) = (ours.parse::<f64>(), theirs.parse::<f64>()) else {
        return false;
    };
    let digits = ours.split_once('.').map_or(0, |(_, digits)| digits.len());
    let last_digit = if digits == 0 || ours.contains('e') {
        0.0
    } else {
        0.1_f64.powi(i32::try_from(digits).unwrap())
    };
    (a - b).abs() <= (a.abs() * 1e-9).max(last_digit)
}
