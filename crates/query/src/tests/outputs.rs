//! What the last stage leaves when its rows go into a dataset.

use std::collections::BTreeMap;

use api::JobId;
use api::task::TaskId;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::cluster::{Cluster, sorted_rows};
use crate::Sink;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dataset_is_parquet_even_without_rows() {
    let cluster = Cluster::new();
    for (condition, count) in [("true", 4_000), ("id < 0", 0)] {
        let sql = format!("SELECT id, price, note FROM orders WHERE {condition}");
        let graph = cluster.plan(&sql, 3).await;
        assert_eq!(graph.stages.len(), 1);
        let task = TaskId {
            job: JobId::new_now(),
            stage: 0,
            partition: 1,
            attempt: 0,
        };
        let written = cluster
            .run_task_into(&graph, task, &BTreeMap::new(), Sink::Dataset)
            .await
            .unwrap();
        assert_eq!(written.rows, count);
        let file = std::fs::File::open(cluster.shuffle.dataset(&task)).unwrap();
        assert_eq!(file.metadata().unwrap().len(), written.bytes);
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        assert_eq!(reader.schema().fields().len(), 3);
        let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
        assert_eq!(batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>(), count);
        if count > 0 {
            let truth = cluster
                .truth("SELECT id, price, note FROM orders WHERE id BETWEEN 4000 AND 7999")
                .await;
            assert_eq!(sorted_rows(&batches), sorted_rows(&truth));
        }
    }
}
