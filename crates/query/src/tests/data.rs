//! Small tables of every format, with nulls, duplicates and several files.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use api::job::TableSpec;
use datafusion::arrow::array::{ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

/// A repeatable source of numbers (SplitMix64).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> i64 {
        i64::try_from(self.next() % bound).unwrap()
    }
}

/// Writes the tables and returns their specifications.
///
/// - `orders`: three Parquet files of several row groups; `customer` and `price` have nulls
/// - `customers`: one CSV file, large enough to be split
/// - `events`: one NDJSON file, large enough to be split; `orders_id` has nulls
pub(super) fn write(dir: &Path) -> BTreeMap<String, TableSpec> {
    let mut numbers = Numbers(7);
    std::fs::create_dir_all(dir.join("orders")).unwrap();
    for file in 0..3 {
        write_orders(&dir.join(format!("orders/part-{file}.parquet")), file * 4_000, &mut numbers);
    }
    write_customers(&dir.join("customers.csv"), &mut numbers);
    write_events(&dir.join("events.ndjson"), &mut numbers);
    [
        ("orders", "orders"),
        ("customers", "customers.csv"),
        ("events", "events.ndjson"),
    ]
    .map(|(name, path)| (name.to_owned(), table(&dir.join(path))))
    .into()
}

/// A table with nothing but a path.
pub(super) fn table(path: &Path) -> TableSpec {
    TableSpec {
        uri: Some(format!("file://{}", path.display())),
        ..TableSpec::default()
    }
}

fn write_orders(path: &Path, first: i64, numbers: &mut Numbers) {
    let rows = 4_000;
    let ids: Int64Array = (first..first + rows).collect();
    let customers: Int64Array = (0..rows)
        .map(|_| Some(numbers.below(1_500)).filter(|c| c % 13 != 0))
        .collect();
    let prices: Decimal128Array = (0..rows)
        .map(|_| Some(i128::from(numbers.below(100_000))).filter(|p| p % 17 != 0))
        .collect();
    let weights: Float64Array = (0..rows).map(|_| Some(numbers.below(1_000) as f64 / 8.0)).collect();
    let days: Date32Array = (0..rows).map(|_| i32::try_from(9_000 + numbers.below(700)).ok()).collect();
    let notes: StringArray = (0..rows)
        .map(|_| Some(["urgent", "normal", "none", ""][numbers.below(4) as usize]))
        .collect();
    let columns: [(&str, ArrayRef); 6] = [
        ("id", Arc::new(ids)),
        ("customer", Arc::new(customers)),
        ("price", Arc::new(prices.with_precision_and_scale(12, 2).unwrap())),
        ("weight", Arc::new(weights)),
        ("day", Arc::new(days)),
        ("note", Arc::new(notes)),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(700)).build();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn write_customers(path: &Path, numbers: &mut Numbers) {
    let mut text = "id,name,segment,balance,about\n".to_owned();
    for id in 0..2_000 {
        let segment = ["retail", "trade", "public", ""][numbers.below(4) as usize];
        let balance = numbers.below(1_000_000) as f64 / 100.0 - 2_000.0;
        writeln!(
            text,
            "{id},Customer {id},{segment},{balance:.2},\"{}, {id}\"",
            "lorem ipsum dolor sit amet ".repeat(6)
        )
        .unwrap();
    }
    assert!(text.len() > 300_000);
    std::fs::write(path, text).unwrap();
}

fn write_events(path: &Path, numbers: &mut Numbers) {
    let mut text = String::new();
    for id in 0..5_000 {
        let order = Some(numbers.below(14_000)).filter(|order| order % 11 != 0);
        let order = order.map_or("null".to_owned(), |order| order.to_string());
        let kind = ["created", "paid", "shipped"][numbers.below(3) as usize];
        let tags = ["[]", "[\"a\"]", "[\"a\",\"b\"]"][numbers.below(3) as usize];
        writeln!(
            text,
            "{{\"id\":{id},\"orders_id\":{order},\"kind\":\"{kind}\",\"tags\":{tags},\"at\":\"2024-01-{:02}\"}}",
            1 + id % 28
        )
        .unwrap();
    }
    assert!(text.len() > 300_000);
    std::fs::write(path, text).unwrap();
}
