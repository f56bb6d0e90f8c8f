//! Queries made to harm: each ends in time, with an error that says what was wrong or within its memory, and the next one is answered.

use std::time::{Duration, Instant};

use super::cluster::{Cluster, rows};
use crate::{Error, Failure};

/// Longest time for planning and running what is not endless.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long what is endless is left to run.
const ENDLESS: Duration = Duration::from_secs(1);
/// How soon it must be gone after that.
const SOON: Duration = Duration::from_secs(5);
/// Memory of all queries together beside the pool, MiB.
const SLACK: usize = 1200;

async fn outcome(cluster: &Cluster, sql: &str) -> Result<Vec<String>, Failure> {
    let graph = cluster
        .engine
        .plan_sql(cluster.request(sql, 2))
        .await
        .map_err(Failure::from)?;
    let (batches, _) = cluster.run(&graph, &mut |_, _| {}).await?;
    Ok(rows(&batches))
}

/// Most memory this process had, MiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() >> 10
}

async fn still_answers(cluster: &Cluster, after: &str) {
    let answer = outcome(cluster, "SELECT count(*) FROM orders").await;
    assert_eq!(answer, Ok(vec!["|12000|".to_owned()]), "after {after:.80}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_make_much_of_little_is_refused() {
    let cluster = Cluster::with_memory(128 << 20);
    let long = "repeat('x', 100000)";
    for sql in [
        "SELECT repeat('x', 1000000000)".to_owned(),
        "SELECT repeat(note, 1000000000) FROM orders".to_owned(),
        "SELECT repeat(note || 'x', CAST(id AS BIGINT) * 1000000) FROM orders".to_owned(),
        "SELECT length(repeat(arrow_cast('x', 'LargeUtf8'), 1000000000000000))".to_owned(),
        "SELECT arrow_cast(note, 'FixedSizeBinary(2000000000)') FROM orders".to_owned(),
        "SELECT arrow_cast(NULL, 'FixedSizeList(2000000000, Int64)') FROM orders".to_owned(),
        "SELECT lpad('x', 1000000000), rpad('x', 1000000000)".to_owned(),
        "SELECT rpad(note, 2000000000, 'é') FROM orders".to_owned(),
        format!("SELECT replace({long}, 'x', {long})"),
        format!("SELECT regexp_replace({long}, 'x', {long}, 'g')"),
        "SELECT levenshtein(repeat('x', 400000), repeat('y', 400000))".to_owned(),
        "SELECT array_repeat('x', 1000000000)".to_owned(),
        "SELECT array_repeat(array_repeat(1, 100000), 100000)".to_owned(),
        "SELECT list_repeat(id, 1000000000) FROM orders".to_owned(),
        "SELECT array_resize([1], 1000000000, 1)".to_owned(),
        "SELECT range(1, 1000000000000)".to_owned(),
        "SELECT generate_series(1, 1000000000000)".to_owned(),
        "SELECT generate_series(-9223372036854775808, 9223372036854775807, 1)".to_owned(),
        "SELECT range(TIMESTAMP '2000-01-01', TIMESTAMP '2030-01-01', INTERVAL '1' SECOND)".to_owned(),
        format!("SELECT array_to_string(array_repeat('x', 100000), {long})"),
    ] {
        let started = Instant::now();
        let refused = outcome(&cluster, &sql).await.expect_err(&sql);
        assert!(matches!(refused, Failure::User { .. }), "{sql}: {refused:?}");
        let said = refused.to_string();
        assert!(
            said.contains("MiB") || said.contains("steps") || said.contains("is not offered"),
            "{sql}: {said}"
        );
        assert!(started.elapsed() < PATIENCE, "{sql} took {:?}", started.elapsed());
    }
    still_answers(&cluster, "all of them").await;
    assert!(peak() < SLACK, "{} MiB", peak());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_these_functions_are_for_works_as_before() {
    let cluster = Cluster::new();
    for (sql, expected) in [
        (
            "SELECT repeat('ab', 3), lpad('x', 3, 'y'), rpad('x', 3), replace('aaa', 'a', 'b')",
            "|ababab|yyx|x|bbb|",
        ),
        ("SELECT sum(length(repeat(note, 100))) > 1000 FROM orders", "|true|"),
        (
            "SELECT cardinality(range(1, 1001)), cardinality(generate_series(1, 10, 3)), list_repeat(1, 2)",
            "|1000|4|[1, 1]|",
        ),
        (
            "SELECT cardinality(range(DATE '2000-01-01', DATE '2001-01-01', INTERVAL '1' MONTH)), array_resize([1], 3, 0)",
            "|12|[1, 0, 0]|",
        ),
        (
            "SELECT levenshtein('kitten', 'sitting'), arrow_cast(1, 'Int8'), array_to_string([1, 2], ',')",
            "|3|1|1,2|",
        ),
        (
            "SELECT regexp_replace('foobar', 'o+', 'x'), array_repeat('a', 2)",
            "|fxbar|[a, a]|",
        ),
        (
            "SELECT count(*), sum(value) FROM generate_series(1, 100000)",
            "|100000|5000050000|",
        ),
    ] {
        assert_eq!(
            outcome(&cluster, sql).await.as_deref(),
            Ok(&[expected.to_owned()][..]),
            "{sql}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patterns_and_lists_take_time_by_their_length_only() {
    let cluster = Cluster::with_memory(128 << 20);
    let numbers = (0..20_000).map(|n| (n * 3).to_string()).collect::<Vec<_>>().join(", ");
    let text = "repeat('a', 100000) || 'b'";
    for (sql, expected) in [
        // What takes engines that go back for ever.
        (format!("SELECT regexp_like({text}, '^(a+)+$')"), Some("|false|")),
        (format!("SELECT regexp_like({text}, '(a|aa)+$')"), Some("|false|")),
        (format!("SELECT regexp_like({text}, '(.*)*c')"), Some("|false|")),
        (format!("SELECT {text} LIKE '%{}c'", "a%".repeat(200)), Some("|false|")),
        // What is large once it is compiled.
        (
            "SELECT regexp_like(note, '((a{1000}){1000}){1000}') FROM orders".to_owned(),
            None,
        ),
        ("SELECT regexp_like(note, '\\\\pL{1000}{1000}') FROM orders".to_owned(), None),
        (
            "SELECT regexp_match(note, '(((((((((a*)*)*)*)*)*)*)*)*)*b') FROM orders LIMIT 1".to_owned(),
            Some("||"),
        ),
        (format!("SELECT count(*) FROM orders WHERE id IN ({numbers})"), Some("|4000|")),
        (
            format!("SELECT count(*) FROM orders WHERE id NOT IN ({numbers})"),
            Some("|8000|"),
        ),
    ] {
        let started = Instant::now();
        let found = outcome(&cluster, &sql).await;
        match (expected, &found) {
            (Some(expected), Ok(rows)) => assert_eq!(rows[..], [expected.to_owned()], "{sql:.80}"),
            (None, Err(Failure::User { .. })) => {}
            _ => panic!("{sql:.80}: {found:?}"),
        }
        assert!(started.elapsed() < PATIENCE, "{sql:.80} took {:?}", started.elapsed());
    }
    still_answers(&cluster, "all of them").await;
    assert!(peak() < SLACK, "{} MiB", peak());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_ends_stays_within_memory_and_ends_when_it_is_told_to() {
    end_each(&[
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r) SELECT max(n) FROM r",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT a.n + b.n FROM r a, r b) SELECT count(*) FROM r",
        "SELECT count(*) FROM generate_series(1, 9000000000000000000)",
        "SELECT max(value) FROM generate_series(1, 9000000000000000000)",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_collects_without_an_end_stays_within_memory_and_ends_when_it_is_told_to() {
    end_each(&[
        "SELECT value FROM generate_series(1, 9000000000000000000) ORDER BY value % 7",
        "SELECT DISTINCT value FROM generate_series(1, 9000000000000000000)",
        "SELECT array_agg(value) FROM generate_series(1, 9000000000000000000)",
        "SELECT string_agg(CAST(value AS VARCHAR), ',') FROM generate_series(1, 9000000000000000000)",
        "SELECT row_number() OVER (ORDER BY a.id + b.id) FROM orders a, orders b",
    ])
    .await;
}

async fn end_each(queries: &[&str]) {
    let cluster = Cluster::with_memory(64 << 20);
    for sql in queries {
        let begun = Instant::now();
        let ended = tokio::time::timeout(ENDLESS, outcome(&cluster, sql)).await;
        assert!(begun.elapsed() < ENDLESS + SOON, "{sql} went on for {:?}", begun.elapsed());
        match ended {
            // Dropped, or out of memory, or too large to be an answer.
            Err(_) | Ok(Err(Failure::OutOfMemory(_) | Failure::User { .. })) => {}
            Ok(other) => panic!("{sql}: {other:?}"),
        }
        let told = Instant::now();
        while cluster.engine.memory_used() > 0 {
            assert!(
                told.elapsed() < SOON,
                "{sql} still holds {} bytes",
                cluster.engine.memory_used()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        still_answers(&cluster, sql).await;
        assert!(peak() < SLACK, "{sql}: {} MiB", peak());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_without_a_bound_is_refused_before_it_is_read() {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, FixedSizeBinaryArray, RecordBatch};
    let mut cluster = Cluster::new();
    let path = cluster.dir.path().join("data/wide.parquet");
    let nothing: ArrayRef =
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some(vec![0_u8; 5000])].into_iter(), 5000).unwrap());
    let batch = RecordBatch::try_from_iter([("wide", nothing)]).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    cluster.tables.insert("t".to_owned(), super::data::table(&path));
    let refused = cluster
        .engine
        .plan_sql(cluster.request("SELECT * FROM t", 1))
        .await
        .expect_err("no bound");
    assert!(
        matches!(&refused, Error::TooLarge(text) if text.contains("wide") && text.contains("5000")),
        "{refused:?}"
    );
}
