//! Tables that are not files: datasets of the data store, and keys.

use std::sync::Arc;

use api::ErrorCode;
use api::job::TableSpec;
use api::task::{PlanFile, PlanTable};
use async_trait::async_trait;
use datafusion::object_store::memory::InMemory;
use datafusion::object_store::{ObjectStore, ObjectStoreExt};

use super::cluster::{Cluster, NAMESPACE, rows, sorted_rows};
use crate::{DataDirs, Engine, EngineSettings, Error, Failure, KvRow, KvSnapshot, KvSource};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datasets_are_read_from_the_store_that_the_engine_was_given() {
    let mut cluster = Cluster::new();
    let blobs: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut files = Vec::new();
    for (path, blob) in [
        ("day=1/a.parquet", "datasets/_/d/1-0.parquet"),
        ("day=2/a.parquet", "datasets/_/d/2-0.parquet"),
    ] {
        let bytes = std::fs::read(cluster.dir.path().join("data/orders/part-0.parquet")).unwrap();
        files.push(PlanFile {
            path: path.to_owned(),
            blob: blob.to_owned(),
            bytes: bytes.len() as u64,
        });
        blobs.put(&blob.into(), bytes.into()).await.unwrap();
    }
    cluster.engine = Engine::try_new(EngineSettings {
        memory_bytes: 64 << 20,
        spill_dir: cluster.dir.path().join("spill"),
        spill_limit_bytes: 1 << 30,
        data_dirs: DataDirs::try_new([cluster.dir.path().join("data")]).unwrap(),
        blobs: Some(Arc::clone(&blobs)),
        ..EngineSettings::default()
    })
    .unwrap();
    let spec = TableSpec {
        dataset: Some("d".to_owned()),
        ..TableSpec::default()
    };
    cluster.planned.insert("d".to_owned(), PlanTable { spec, files });
    let sql = "SELECT day, count(*), sum(weight) > 0 FROM d GROUP BY day";
    assert_eq!(sorted_rows(&cluster.query(sql, 3).await), ["|1|4000|true|", "|2|4000|true|"]);

    let graph = cluster.plan("SELECT sum(id) FROM d WHERE day = 2", 2).await;
    assert_eq!(
        graph.stages[0].blobs,
        [["datasets/_/d/2-0.parquet"]],
        "the task is best run near what it reads"
    );
    blobs.delete(&"datasets/_/d/2-0.parquet".into()).await.unwrap();
    let failure = cluster.run(&graph, &mut |_, _| {}).await.err();
    assert!(
        matches!(
            &failure,
            Some(Failure::User {
                code: ErrorCode::NotFound,
                ..
            })
        ),
        "{failure:?}"
    );
}

#[derive(Debug)]
struct Keys(u32);

#[async_trait]
impl KvSource for Keys {
    async fn read(&self, namespace: &str, prefix: &str, _max_bytes: usize) -> Result<KvSnapshot, String> {
        assert_eq!(namespace, NAMESPACE);
        let row = |n: u32| KvRow {
            key: format!("{prefix}{n}"),
            value: if n == 1 { vec![0xff].into() } else { n.to_string().into() },
            revision: u64::from(100 + n),
        };
        Ok(KvSnapshot {
            rows: (0..self.0.min(1000)).map(row).collect(),
            more: self.0 > 1000,
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_a_table_in_the_plan_itself() {
    let mut cluster = Cluster::new();
    for (keys, fits) in [(500, true), (1001, false)] {
        cluster.engine = Engine::try_new(EngineSettings {
            memory_bytes: 64 << 20,
            spill_dir: cluster.dir.path().join("spill"),
            spill_limit_bytes: 1 << 30,
            kv: Some(Arc::new(Keys(keys))),
            ..EngineSettings::default()
        })
        .unwrap();
        cluster.tables = [(
            "t".to_owned(),
            TableSpec {
                uri: Some("kv:users/".to_owned()),
                ..TableSpec::default()
            },
        )]
        .into();
        if fits {
            let sql = "SELECT count(*), count(text), max(revision), min(key), sum(CAST(text AS INT)) FROM t";
            assert_eq!(rows(&cluster.query(sql, 3).await), ["|500|499|599|users/0|124749|"]);
            let joined = "SELECT count(*) FROM t a JOIN t b ON a.text = b.text";
            assert_eq!(rows(&cluster.query(joined, 3).await), ["|499|"]);
        } else {
            let error = cluster
                .engine
                .plan_sql(cluster.request("SELECT * FROM t", 1))
                .await
                .unwrap_err();
            assert!(
                matches!(&error, Error::TooLarge(text) if text.contains("longer prefix")),
                "{error:?}"
            );
        }
    }
}
