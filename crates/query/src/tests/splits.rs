//! How a Parquet file is divided among tasks: by its row groups, evenly, and each row once.

use std::path::Path;
use std::sync::Arc;

use api::JobId;
use api::task::TaskId;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::cluster::{Cluster, sorted_rows};
use super::data::{Numbers, table};

const GROUPS: u64 = 8;
const ROWS_OF_A_GROUP: u64 = 20_000;

/// Numbers that do not compress, so that the file is large enough to be split.
fn write(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut numbers = Numbers(11);
    let column: Int64Array = (0..GROUPS * ROWS_OF_A_GROUP).map(|_| Some(numbers.next() as i64)).collect();
    let batch = RecordBatch::try_from_iter([("n", Arc::new(column) as ArrayRef)]).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(ROWS_OF_A_GROUP as usize));
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_get_as_many_row_groups_each() {
    let mut cluster = Cluster::new();
    let path = cluster.dir.path().join("data/numbers.parquet");
    write(&path);
    cluster.tables.insert("t".to_owned(), table(&path));
    let graph = cluster.plan("SELECT n FROM t WHERE n IS NOT NULL", 4).await;
    assert_eq!((graph.stages.len(), graph.stages[0].partitions), (1, 4), "{graph:?}");
    let job = JobId::new_now();
    for partition in 0..4 {
        let task = TaskId {
            job,
            stage: 0,
            partition,
            attempt: 0,
        };
        let written = cluster.run_task(&graph, task, &Default::default()).await.unwrap();
        assert_eq!(written.rows, GROUPS * ROWS_OF_A_GROUP / 4, "partition {partition}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_in_a_table_twice_by_links_keeps_its_rows() {
    let mut cluster = Cluster::new();
    let years = cluster.dir.path().join("data/years");
    write(&years.join("year=2023/a.parquet"));
    std::fs::create_dir_all(years.join("year=2024")).unwrap();
    std::os::unix::fs::symlink("../year=2023/a.parquet", years.join("year=2024/a.parquet")).unwrap();
    cluster.tables.insert("t".to_owned(), table(&years));
    let sql = "SELECT year, count(*), count(DISTINCT n) FROM t GROUP BY year";
    let rows = GROUPS * ROWS_OF_A_GROUP;
    for partitions in [1, 3] {
        let found = sorted_rows(&cluster.query(sql, partitions).await);
        assert_eq!(
            found,
            [format!("|2023|{rows}|{rows}|"), format!("|2024|{rows}|{rows}|")],
            "{partitions} partitions"
        );
    }
}
