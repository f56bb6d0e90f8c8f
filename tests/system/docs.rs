//! The examples of `docs/api-cache.md`, `docs/api-datasets.md`, `docs/api-jobs.md` and `docs/api-kv.md` work, and answer what is written
//! behind them.
//!
//! Behind the `#` of a `curl` stands its status and, after commas, headers (`X-Cache: HIT`), pieces of the body, or a JSON object
//! whose members the body must have.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use system_tests::binary;
use tempfile::TempDir;

use super::up::{Up, banner, interrupt};

const CACHE: &str = include_str!("../../docs/api-cache.md");
const JOBS: &str = include_str!("../../docs/api-jobs.md");
const KV: &str = include_str!("../../docs/api-kv.md");
const DATASETS: &str = include_str!("../../docs/api-datasets.md");
/// What `curl` is in an example: answers are kept beside being printed, under the number of the example.
const CURL: &str = r#"curl() { command curl -sS -m "$LIMIT" -D "$ANSWERS/$EXAMPLE.head" "$@" | tee "$ANSWERS/$EXAMPLE.body"; }"#;

/// A fenced block of shell, and the line of the document it begins at.
struct Block<'a> {
    line: usize,
    lines: Vec<&'a str>,
}

fn blocks(document: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = document.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if line == "```sh" {
            let inside = lines.by_ref().map(|(line, _)| line).take_while(|line| *line != "```");
            blocks.push(Block {
                line: number + 1,
                lines: inside.collect(),
            });
        }
    }
    blocks
}

/// A call of `curl`, and what is written behind it.
struct Example<'a> {
    line: usize,
    stated: Option<&'a str>,
}

impl<'a> Block<'a> {
    fn examples(&self) -> Vec<Example<'a>> {
        let mut examples: Vec<Example<'a>> = Vec::new();
        for (line, number) in self.lines.iter().zip(self.line..) {
            if line.contains("curl ") {
                examples.push(Example {
                    line: number,
                    stated: None,
                });
            }
            let stated = line.rsplit_once("# ").map(|(_, stated)| stated);
            let has_status = |stated: &&str| {
                stated
                    .get(..3)
                    .is_some_and(|status| status.bytes().all(|b| b.is_ascii_digit()))
            };
            if let (Some(example), Some(stated)) = (examples.last_mut(), stated.filter(has_status)) {
                example.stated = Some(stated);
            }
        }
        examples
    }

    /// Runs it, with the answers of its examples kept in a directory.
    fn run(&self, api: &str, answers: &Path) {
        let mut script = vec![CURL.to_owned(), "set -e".to_owned()];
        let mut example = 0;
        for line in &self.lines {
            if line.contains("curl ") {
                // A stream does not end by itself.
                let limit = if line.contains("curl -N") { 3 } else { 60 };
                let within = if limit == 3 { " || true" } else { "" };
                let call = line.replacen("curl ", &format!("EXAMPLE={example} LIMIT={limit} curl "), 1);
                // The way out of a stream goes before what is stated of it.
                script.push(match call.split_once("   # ") {
                    Some((call, stated)) => format!("{call}{within}   # {stated}"),
                    None => call,
                });
                example += 1;
            } else {
                script.push((*line).to_owned());
            }
        }
        let program = binary("elasticore");
        let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let output = Command::new("bash")
            .args(["-c", &script.join("\n")])
            .env("PATH", path)
            .env("API", api)
            .env("ELASTICORE_ENDPOINT", api)
            .env("ANSWERS", answers)
            .env("NO_PROXY", "*")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "the block at line {}: {out}\n{err}", self.line);
    }
}

/// Why an answer is not what is stated.
fn refute(stated: &str, head: &str, body: &str) -> Option<String> {
    let (status, rest) = stated.split_at(3);
    let answered = head.lines().rfind(|line| line.starts_with("HTTP/"));
    if answered.and_then(|line| line.split(' ').nth(1)) != Some(status) {
        return Some(format!("{answered:?} instead of {status}"));
    }
    let rest = rest.strip_prefix(", ")?;
    if rest.starts_with('{') {
        let wanted: Value = serde_json::from_str(rest).unwrap();
        // With `-i` the head is printed first.
        let json = body.rsplit_once("\r\n\r\n").map_or(body, |(_, json)| json);
        let found: Value = serde_json::from_str(json).unwrap_or_default();
        return (!has(&found, &wanted)).then(|| format!("no {wanted}"));
    }
    let is_there = |part: &str| {
        let header = head.lines().any(|line| line.eq_ignore_ascii_case(part));
        header || body.contains(part)
    };
    rest.split(", ")
        .find(|part| !is_there(part))
        .map(|part| format!("no {part:?}"))
}

/// Whether all members of `wanted` are in `found`, at any depth; lists are as long.
fn has(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            let member = |(name, wanted): (&String, &Value)| found.get(name).is_some_and(|found| has(found, wanted));
            wanted.iter().all(member)
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| has(found, wanted))
        }
        _ => found == wanted,
    }
}

/// Runs all examples of a document against a stack of their own.
async fn examples_answer_what_is_stated(document: &str) {
    let up = Up::new();
    let mut process = up.start(1);
    banner(&mut process).await;
    let api = format!("http://{}", up.address());
    let mut wrong = Vec::new();
    let mut examples = 0;
    for block in blocks(document) {
        let answers = TempDir::new().unwrap();
        block.run(&api, answers.path());
        for (at, example) in block.examples().iter().enumerate() {
            let kept = |what: &str| std::fs::read_to_string(answers.path().join(format!("{at}.{what}"))).unwrap_or_default();
            let (head, body) = (kept("head"), kept("body"));
            let why = match example.stated {
                Some(stated) => refute(stated, &head, &body),
                None => Some("nothing is stated".to_owned()),
            };
            wrong.extend(why.map(|why| format!("line {}: {why}\n{head}{body}", example.line)));
            examples += 1;
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {examples} examples:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(examples, document.matches("curl ").count(), "none is overlooked");
    interrupt(process).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn examples_of_the_cache_api_answer_what_is_stated() {
    examples_answer_what_is_stated(CACHE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn examples_of_the_jobs_api_answer_what_is_stated() {
    examples_answer_what_is_stated(JOBS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn examples_of_the_kv_api_answer_what_is_stated() {
    examples_answer_what_is_stated(KV).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn examples_of_the_datasets_api_answer_what_is_stated() {
    examples_answer_what_is_stated(DATASETS).await;
}

#[test]
fn answers_that_differ_from_what_is_stated_are_found() {
    let head = "HTTP/1.1 200 OK\r\nx-cache: HIT\r\n";
    assert_eq!(refute("200, X-Cache: HIT, hello", head, "say hello"), None);
    assert_eq!(
        refute(r#"200, {"a":{"b":[{"c":1}]}}"#, head, r#"{"z":0,"a":{"b":[{"c":1,"d":2}]}}"#),
        None
    );
    for (stated, body) in [
        ("201", ""),
        ("200, X-Cache: STALE", ""),
        ("200, hello", "goodbye"),
        (r#"200, {"a":1}"#, "no JSON"),
        (r#"200, {"a":1}"#, r#"{"a":2}"#),
        (r#"200, {"a":[{}]}"#, r#"{"a":[]}"#),
    ] {
        assert!(refute(stated, head, body).is_some(), "{stated}");
    }
    assert!(refute("200", "", "").is_some(), "there is no answer at all");
}
