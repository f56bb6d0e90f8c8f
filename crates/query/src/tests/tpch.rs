//! The 22 queries of TPC-H, several tasks and stages each, against DuckDB.

use std::collections::BTreeMap;
use std::path::Path;

use datafusion::arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::properties::WriterProperties;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator, RegionGenerator,
    SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow, SupplierArrow,
};

use super::cluster::Cluster;
use super::data::{Numbers, table};
use super::duck::{Duck, difference, texts};
use crate::plan::Shape;

/// Small enough for code that is not optimised.
const SCALE: f64 = 0.02;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_22_queries_have_the_answers_of_duckdb() {
    let mut cluster = Cluster::new();
    let directory = cluster.dir.path().join("data/tpch");
    let mut duck = Duck::start();
    cluster.tables = generate(&directory);
    for name in cluster.tables.keys() {
        duck.table(name, &format!("{}/{name}/*.parquet", directory.display()));
    }
    let mut wrong = Vec::new();
    let mut lost = 0;
    for number in 1..=22_u32 {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../bench/tpch/q{number:02}.sql"));
        let sql = std::fs::read_to_string(path).unwrap();
        let theirs = duck.ask(&sql).unwrap();
        // Broadcasts of nothing, of what is small, and of nearly everything.
        for (partitions, broadcast_bytes) in [(4, 0), (3, 64 << 10), (2, 100 << 20)] {
            let shape = Shape {
                partitions,
                broadcast_bytes,
                broadcast_rows: broadcast_bytes / 64,
                whole_below_bytes: 0,
            };
            let graph = cluster.plan_shaped(&sql, shape).await.unwrap();
            assert!(
                graph.stages.len() > 1,
                "query {number} is one stage: {}",
                graph.stages[0].display
            );
            let mut numbers = Numbers(u64::from(number));
            let mut left = 3;
            let outcome = cluster
                .run(&graph, &mut |files, task| {
                    if left > 0 && task.stage + 1 < graph.stages.len() as u32 && numbers.below(5) == 0 {
                        left -= 1;
                        files.remove_attempt(task).unwrap();
                    }
                })
                .await;
            let (answer, seen) = outcome.unwrap_or_else(|failure| panic!("query {number}: {failure}"));
            lost += seen.lost;
            if let Some(what) = difference(&texts(&answer), &theirs, true) {
                wrong.push(format!("query {number} with {shape:?}: {what}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lost > 10, "only {lost} outputs were lost");
}

/// Writes the tables, the large ones in several files of several row groups.
fn generate(directory: &Path) -> BTreeMap<String, api::job::TableSpec> {
    let write = |name: &str, batches: &mut dyn Iterator<Item = RecordBatch>, files: usize| {
        let batches: Vec<_> = batches.collect();
        write_parquet(&directory.join(name), &batches, files);
        (name.to_owned(), table(&directory.join(name)))
    };
    [
        write(
            "region",
            &mut RegionArrow::new(RegionGenerator::new(SCALE, 1, 1)).map(Result::unwrap),
            1,
        ),
        write(
            "nation",
            &mut NationArrow::new(NationGenerator::new(SCALE, 1, 1)).map(Result::unwrap),
            1,
        ),
        write(
            "part",
            &mut PartArrow::new(PartGenerator::new(SCALE, 1, 1)).map(Result::unwrap),
            2,
        ),
        write(
            "supplier",
            &mut SupplierArrow::new(SupplierGenerator::new(SCALE, 1, 1)).map(Result::unwrap),
            1,
        ),
        write(
            "partsupp",
            &mut PartSuppArrow::new(PartSuppGenerator::new(SCALE, 1, 1)).map(Result::unwrap),
            3,
        ),
        write(
            "customer",
            &mut CustomerArrow::new(CustomerGenerator::new(SCALE, 1, 1)).map(Result::unwrap),
            2,
        ),
        write(
            "orders",
            &mut OrderArrow::new(OrderGenerator::new(SCALE, 1, 1)).map(Result::unwrap),
            3,
        ),
        write(
            "lineitem",
            &mut LineItemArrow::new(LineItemGenerator::new(SCALE, 1, 1)).map(Result::unwrap),
            4,
        ),
    ]
    .into()
}

/// Spreads rows over files; the columns have the plain types that Parquet itself has.
pub(super) fn write_parquet(directory: &Path, batches: &[RecordBatch], files: usize) {
    std::fs::create_dir_all(directory).unwrap();
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let all = datafusion::arrow::compute::concat_batches(&batches[0].schema(), batches).unwrap();
    let each = rows.div_ceil(files).max(1);
    for file in 0..files {
        let first = (file * each).min(rows);
        let part = all.slice(first, each.min(rows - first));
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(each.div_ceil(3).max(1)))
            .build();
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true);
        let path = std::fs::File::create(directory.join(format!("{file}.parquet"))).unwrap();
        let mut writer = ArrowWriter::try_new_with_options(path, part.schema(), options).unwrap();
        writer.write(&part).unwrap();
        writer.close().unwrap();
    }
}
