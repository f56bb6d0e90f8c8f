//! More rows than memory.

use super::cluster::{Cluster, engine, rows, sorted_rows};
use crate::{Engine, EngineSettings, Failure};

const POOL: usize = 16 << 20;
/// 300,000 rows of about 500 bytes.
const WIDE: &str = "SELECT id * 25 + n5 + n1 id, repeat(note || 'x', 100) || CAST(id AS VARCHAR) s FROM orders, (VALUES (0), (1), (2), (3), (4)) a(n5), (VALUES (0), (5), (10), (15), (20)) b(n1)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sort_and_an_aggregate_ten_times_larger_than_memory_finish() {
    // Rows of more than 700 bytes.
    let (pool, wide) = (20 << 20, WIDE.replace("100)", "145)"));
    let cluster = Cluster::with_memory(pool);
    let size = format!("SELECT sum(octet_length(s)) FROM ({wide})");
    let size: usize = rows(&cluster.query(&size, 2).await)[0].trim_matches('|').parse().unwrap();
    assert!(size > 10 * pool, "the test's rows take only {size} bytes");

    let sort = format!("SELECT id, row_number() OVER (ORDER BY s DESC, id) r, s FROM ({wide})");
    let checked = format!("SELECT count(*), sum(id), min(r), max(r), sum(octet_length(s)) FROM ({sort})");
    let graph = cluster.plan(&checked, 1).await;
    let (answer, seen) = cluster
        .run(&graph, &mut |_, _| {})
        .await
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(
        rows(&answer),
        [format!("|300000|{}|1|300000|{size}|", 300_000_u64 * 299_999 / 2)]
    );
    assert!(seen.spilled as usize > pool, "only {} bytes were spilled", seen.spilled);

    let aggregate = format!("SELECT count(*), sum(n), max(id) FROM (SELECT s, id, count(*) n FROM ({wide}) GROUP BY s, id)");
    let graph = cluster.plan(&aggregate, 2).await;
    let (answer, seen) = cluster
        .run(&graph, &mut |_, _| {})
        .await
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(rows(&answer), ["|300000|300000|299999|"]);
    assert!(seen.spilled as usize > pool, "only {} bytes were spilled", seen.spilled);
    assert_eq!(cluster.engine.memory_used(), 0);
    let left = std::fs::read_dir(cluster.dir.path().join("spill")).unwrap();
    let files: Vec<_> = left.flat_map(|dir| std::fs::read_dir(dir.unwrap().path()).unwrap()).collect();
    assert!(files.is_empty(), "spilled files are left: {files:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_too_large_for_two_tasks_fits_in_more() {
    let cluster = Cluster::with_memory(POOL);
    let wide = "SELECT id, repeat(note || 'x', 60) || CAST(id AS VARCHAR) s FROM orders, (VALUES (0), (1), (2), (3), (4)) a(n), (VALUES (0), (5)) b(m)";
    let join =
        format!("SELECT count(*), max(octet_length(a.s)) > 0 FROM ({wide}) a JOIN ({wide}) b ON a.id = b.id AND a.s = b.s");
    let graph = cluster.plan(&join, 2).await;
    let failure = cluster.run(&graph, &mut |_, _| {}).await.err();
    assert!(
        matches!(&failure, Some(Failure::OutOfMemory(text)) if text.contains("raise WORKER_MEMORY") && text.contains("join")),
        "{failure:?}"
    );
    let graph = cluster.plan(&join, 32).await;
    let (answer, _) = cluster
        .run(&graph, &mut |_, _| {})
        .await
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(sorted_rows(&answer), ["|1200000|true|"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_of_spilled_rows_is_told_by_its_name() {
    let mut cluster = Cluster::with_memory(POOL);
    cluster.engine = Engine::try_new(EngineSettings {
        spill_limit_bytes: 4 << 20,
        ..settings(&cluster)
    })
    .unwrap();
    let sort = format!("SELECT id FROM ({WIDE}) ORDER BY s, id");
    let graph = cluster.plan(&sort, 1).await;
    let failure = cluster.run(&graph, &mut |_, _| {}).await.err();
    assert!(
        matches!(&failure, Some(Failure::OutOfMemory(text)) if text.contains("raise SPILL_LIMIT")),
        "{failure:?}"
    );
    cluster.engine = engine(cluster.dir.path(), POOL);
}

fn settings(cluster: &Cluster) -> EngineSettings {
    EngineSettings {
        memory_bytes: POOL,
        spill_dir: cluster.dir.path().join("spill"),
        data_dirs: crate::DataDirs::try_new([cluster.dir.path().join("data")]).unwrap(),
        ..EngineSettings::default()
    }
}
