//! What a submission may be. Checked at the master that takes it, before anything is kept.

use api::job::{JobSpec, TableSpec};

use super::Error;

/// Longest SQL, bytes.
const MAX_QUERY_BYTES: usize = 64 * 1024;
/// Most tables of a job.
const MAX_TABLES: usize = 64;
const MAX_TABLE_NAME: usize = 128;
const MAX_URI_BYTES: usize = 4096;
const MAX_NAME: usize = 200;
const MAX_LABELS: usize = 32;
const MAX_LABEL_KEY: usize = 63;
const MAX_LABEL_VALUE: usize = 255;
const MAX_TIMEOUT_SECONDS: u64 = 7 * 24 * 60 * 60;
const MAX_ATTEMPTS: u32 = 10;
const MAX_RESULT_TTL_SECONDS: u64 = 365 * 24 * 60 * 60;
const MAX_DATASET: usize = 128;
const MAX_IDEMPOTENCY_KEY: usize = 255;
/// Most bytes of all texts of a submission: its SQL, and its tables with their columns.
const MAX_TEXT_BYTES: usize = 512 * 1024;

/// Checks a submission.
pub(super) fn check(spec: &JobSpec) -> Result<(), Error> {
    let query = spec.query.trim();
    refuse(query.is_empty(), || "query is empty: give one SQL statement".to_owned())?;
    refuse(spec.query.len() > MAX_QUERY_BYTES, || {
        format!("query has {} bytes; at most {MAX_QUERY_BYTES} are allowed", spec.query.len())
    })?;
    refuse(spec.tables.len() > MAX_TABLES, || {
        format!("there are {} tables; at most {MAX_TABLES} are allowed", spec.tables.len())
    })?;
    spec.tables.iter().try_for_each(|(name, table)| check_table(name, table))?;
    refuse(spec.text_bytes() > MAX_TEXT_BYTES, || {
        format!(
            "query and tables have {} bytes; at most {MAX_TEXT_BYTES} are allowed",
            spec.text_bytes()
        )
    })?;
    let name = spec.name.as_deref().unwrap_or("job");
    refuse(!is_text(name, 1, MAX_NAME), || {
        format!("name must be 1 to {MAX_NAME} bytes without control characters")
    })?;
    refuse(spec.labels.len() > MAX_LABELS, || {
        format!("there are {} labels; at most {MAX_LABELS} are allowed", spec.labels.len())
    })?;
    for (key, value) in &spec.labels {
        refuse(!is_text(key, 1, MAX_LABEL_KEY) || !is_text(value, 0, MAX_LABEL_VALUE), || {
            format!(
                "label {key:?}: keys have 1 to {MAX_LABEL_KEY} bytes, values up to {MAX_LABEL_VALUE}, without control characters"
            )
        })?;
    }
    let timeout = spec.timeout.unwrap_or(1);
    refuse(!(1..=MAX_TIMEOUT_SECONDS).contains(&timeout), || {
        format!("timeout is {timeout} s; it must be 1 to {MAX_TIMEOUT_SECONDS}")
    })?;
    let attempts = spec.max_attempts.unwrap_or(1);
    refuse(!(1..=MAX_ATTEMPTS).contains(&attempts), || {
        format!("max_attempts is {attempts}; it must be 1 to {MAX_ATTEMPTS}")
    })?;
    let ttl = spec.result_ttl.unwrap_or(1);
    refuse(!(1..=MAX_RESULT_TTL_SECONDS).contains(&ttl), || {
        format!("result_ttl is {ttl} s; it must be 1 to {MAX_RESULT_TTL_SECONDS}")
    })?;
    match &spec.output {
        Some(output) => check_dataset("output", &output.dataset),
        None => Ok(()),
    }
}

/// Names of datasets are a segment of paths and of blobs' names.
fn check_dataset(what: &str, name: &str) -> Result<(), Error> {
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    refuse(!begins || name.len() > MAX_DATASET || !name.bytes().all(plain), || {
        format!(
            "{what}: dataset {:?}: use 1 to {MAX_DATASET} letters, digits, '_', '-' and '.', beginning with a letter or digit",
            shorten(name)
        )
    })
}

fn check_table(name: &str, table: &TableSpec) -> Result<(), Error> {
    let mut letters = name.bytes();
    let begins = letters.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let fits = begins && letters.all(|b| b.is_ascii_alphanumeric() || b == b'_') && name.len() <= MAX_TABLE_NAME;
    refuse(!fits, || {
        format!("table name {name:?}: use 1 to {MAX_TABLE_NAME} letters, digits and '_', not beginning with a digit")
    })?;
    match (&table.uri, &table.dataset) {
        (Some(uri), None) => check_uri(name, uri)?,
        (None, Some(dataset)) => check_dataset(&format!("table {name}"), dataset)?,
        (Some(_), Some(_)) => refuse(true, || format!("table {name}: give uri or dataset, not both"))?,
        (None, None) => refuse(true, || {
            format!("table {name}: give uri, as in file:///data/{name}.csv, or dataset")
        })?,
    }
    let delimiter = table.options.delimiter.unwrap_or(',');
    refuse(!delimiter.is_ascii() || matches!(delimiter, '\n' | '\r' | '"' | '\0'), || {
        format!("table {name}: delimiter {delimiter:?} must be one ASCII character, not a quote or the end of a line")
    })
}

/// Which hosts and buckets are allowed is the workers' to say.
fn check_uri(name: &str, uri: &str) -> Result<(), Error> {
    let schemes = ["file:///", "http://", "https://", "s3://", "kv:"];
    refuse(!schemes.iter().any(|scheme| uri.starts_with(scheme)), || {
        format!(
            "table {name}: uri {:?} must begin with file:/// (and be an absolute path under the workers' DATA_DIRS), http://, https://, \
             s3:// or kv:",
            shorten(uri)
        )
    })?;
    refuse(!is_text(uri, 3, MAX_URI_BYTES) || uri == "file:///", || {
        format!("table {name}: uri must name a path, have at most {MAX_URI_BYTES} bytes and no control characters")
    })
}

/// Checks an `Idempotency-Key`.
pub(super) fn check_idempotency_key(key: &str) -> Result<(), Error> {
    let fits = (1..=MAX_IDEMPOTENCY_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    refuse(!fits, || {
        format!("Idempotency-Key must be 1 to {MAX_IDEMPOTENCY_KEY} visible ASCII characters")
    })
}

fn is_text(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

fn refuse(wrong: bool, detail: impl FnOnce() -> String) -> Result<(), Error> {
    if wrong { Err(Error::Invalid(detail())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use api::job::JobSpec;
    use serde_json::{Value, json};

    use super::{Error, check, check_idempotency_key};

    fn spec(changes: Value) -> JobSpec {
        let mut spec = json!({ "query": "select 1", "tables": { "t": { "uri": "file:///data/t.csv" } } });
        for (key, value) in changes.as_object().unwrap() {
            spec[key] = value.clone();
        }
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn usual_submissions_pass() {
        check(&spec(json!({}))).unwrap();
        check(&spec(
            json!({ "name": "n", "labels": { "team": "" }, "timeout": 60, "max_attempts": 10, "priority": -5 }),
        ))
        .unwrap();
        check_idempotency_key("a-b/c:1").unwrap();
    }

    #[test]
    fn each_bound_is_named_in_its_refusal() {
        let long = "x".repeat(70_000);
        let column = json!({ "name": "x".repeat(6_000), "type": "int" });
        let wide = json!({ "uri": "file:///a", "options": { "schema": vec![column; 100] } });
        let cases = [
            (json!({ "tables": { "t": wide } }), "query and tables have 600"),
            (json!({ "query": "  " }), "query is empty"),
            (json!({ "query": long }), "query has 70000 bytes"),
            (json!({ "name": "" }), "name must be"),
            (json!({ "labels": { "a\nb": "" } }), "label \"a\\nb\""),
            (json!({ "timeout": 0 }), "timeout is 0 s"),
            (json!({ "max_attempts": 11 }), "max_attempts is 11"),
            (json!({ "tables": { "1t": { "uri": "file:///a" } } }), "table name \"1t\""),
            (
                json!({ "tables": { "t": { "uri": "ftp://a/b" } } }),
                "must begin with file:///",
            ),
            (
                json!({ "tables": { "t": {} } }),
                "give uri, as in file:///data/t.csv, or dataset",
            ),
            (json!({ "tables": { "t": { "uri": "kv:a", "dataset": "d" } } }), "not both"),
            (json!({ "tables": { "t": { "dataset": "a/b" } } }), "table t: dataset \"a/b\""),
            (json!({ "result_ttl": 0 }), "result_ttl is 0 s"),
            (json!({ "output": { "dataset": ".." } }), "output: dataset \"..\""),
            (json!({ "tables": { "t": { "uri": "file:///" } } }), "must name a path"),
            (
                json!({ "tables": { "t": { "uri": "file:///a", "options": { "delimiter": "é" } } } }),
                "delimiter 'é'",
            ),
        ];
        for (changes, expected) in cases {
            let Err(Error::Invalid(detail)) = check(&spec(changes.clone())) else {
                panic!("{changes} passed")
            };
            assert!(detail.contains(expected), "{detail}");
        }
        assert!(check_idempotency_key("").is_err());
        assert!(check_idempotency_key("a b").is_err());
    }
}
