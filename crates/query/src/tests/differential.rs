//! Generated queries in random shapes, under faults, against DuckDB.
//!
//! `ELASTICORE_SEED=7 ELASTICORE_QUERIES=1` asks the query of seed 7 again; `ELASTICORE_QUERIES` and `ELASTICORE_SECONDS` make
//! longer runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};

use super::cluster::Cluster;
use super::data::{Numbers, table};
use super::duck::{Duck, difference, texts};
use super::generate::{Generator, TABLES};
use super::tpch::write_parquet;
use crate::plan::Shape;

/// Seconds after which no new query is asked.
const SECONDS: u64 = 45;
const QUERIES: u64 = 600;
const MOST_ROWS: usize = 20_000;
const FIRST_SEED: u64 = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_queries_have_the_answers_of_duckdb() {
    let mut cluster = Cluster::new();
    let directory = cluster.dir.path().join("data/generated");
    cluster.tables = generate(&directory);
    let mut duck = Duck::start();
    for name in TABLES {
        duck.table(name, &format!("{}/{name}/*.parquet", directory.display()));
    }
    let first = setting("ELASTICORE_SEED", FIRST_SEED);
    let until = Instant::now() + Duration::from_secs(setting("ELASTICORE_SECONDS", SECONDS));
    let (mut asked, mut refused, mut stages, mut lost, mut rows) = (0, Vec::new(), 0, 0, 0);
    let (mut wrong, mut alone) = (Vec::new(), Vec::new());
    for seed in first..first + setting("ELASTICORE_QUERIES", QUERIES) {
        if Instant::now() > until {
            break;
        }
        let mut generator = Generator::new(seed);
        let sql = generator.query();
        let begun = Instant::now();
        let Ok(theirs) = duck.ask(&sql) else {
            refused.push(format!("seed {seed}: DuckDB: {sql}"));
            continue;
        };
        // Products of products only take time.
        if theirs.len() > MOST_ROWS || begun.elapsed() > Duration::from_secs(1) {
            continue;
        }
        asked += 1;
        let shape = Shape {
            partitions: 1 + generator.below(5) as usize,
            broadcast_bytes: [0, 2_000, 1 << 20][generator.below(3) as usize],
            broadcast_rows: [0, 50, 1 << 20][generator.below(3) as usize],
            whole_below_bytes: 0,
        };
        let graph = match cluster.plan_shaped(&sql, shape).await {
            Ok(graph) => graph,
            Err(error) => {
                refused.push(format!("seed {seed}: {error}: {sql}"));
                continue;
            }
        };
        stages += graph.stages.len();
        if let Some((reason, _)) = graph.stages[0]
            .display
            .split_once('\n')
            .filter(|(reason, _)| reason.starts_with("runs as one task"))
        {
            alone.push(format!("seed {seed}: {reason}"));
        }
        let last = graph.stages.len() as u32 - 1;
        let mut left = generator.below(5);
        let outcome = cluster
            .run(&graph, &mut |files, task| {
                if left > 0 && task.stage < last && generator.one_in(3) {
                    left -= 1;
                    files.remove_attempt(task).unwrap();
                }
            })
            .await;
        let found = match outcome {
            Ok((answer, seen)) => {
                lost += seen.lost;
                rows += theirs.len();
                difference(&texts(&answer), &theirs, false)
            }
            Err(failure) => Some(failure.to_string()),
        };
        wrong.extend(found.map(|what| format!("seed {seed}, {shape:?}: {what}\n    {sql}")));
    }
    println!(
        "{asked} queries from seed {first}, {rows} rows, {stages} stages, {lost} outputs lost, {} refused",
        refused.len()
    );
    for query in refused.iter().chain(&alone) {
        println!("not in stages: {query}");
    }
    assert!(wrong.is_empty(), "{} of {asked} wrong:\n{}", wrong.len(), wrong.join("\n"));
    let apart = refused.len() + alone.len();
    assert!(
        apart as u64 <= 3 + asked / 20,
        "{apart} of {asked} were refused or ran as one task"
    );
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |value| value.parse().unwrap())
}

/// Small tables of several files with many nulls and duplicates.
fn generate(directory: &Path) -> BTreeMap<String, api::job::TableSpec> {
    let mut numbers = Numbers(11);
    let sizes = [(400, 4), (90, 3), (20, 1), (0, 1)];
    let write = |(name, (rows, files)): (&str, (i64, usize))| {
        write_parquet(&directory.join(name), &[batch(rows, &mut numbers)], files);
        (name.to_owned(), table(&directory.join(name)))
    };
    TABLES.into_iter().zip(sizes).map(write).collect()
}

fn batch(rows: i64, numbers: &mut Numbers) -> RecordBatch {
    let mut some = |bound: u64| {
        (0..rows)
            .map(|_| Some(numbers.below(bound)).filter(|n| n % 5 != 0))
            .collect::<Vec<_>>()
    };
    let keys: Int64Array = some(40).into_iter().collect();
    let values: Float64Array = some(800).into_iter().map(|n| n.map(|n| n as f64 / 8.0)).collect();
    let texts: StringArray = some(25)
        .into_iter()
        .map(|n| n.map(|n| ["a", "b", "c", "ab", ""][n as usize % 5]))
        .collect();
    let days: Date32Array = some(30).into_iter().map(|n| n.map(|n| 19_723 + n as i32)).collect();
    let flags: BooleanArray = some(7).into_iter().map(|n| n.map(|n| n % 2 == 0)).collect();
    let columns: [(&str, ArrayRef); 6] = [
        ("id", Arc::new((0..rows).collect::<Int64Array>())),
        ("k", Arc::new(keys)),
        ("v", Arc::new(values)),
        ("s", Arc::new(texts)),
        ("d", Arc::new(days)),
        ("b", Arc::new(flags)),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}
