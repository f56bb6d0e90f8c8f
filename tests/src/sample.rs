//! Input whose answers can be computed without a database.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

/// The regions, in the order in which rows take turns.
pub const REGIONS: [&str; 4] = ["north", "south", "east", "west"];

/// Orders over several CSV files.
#[derive(Debug, Clone)]
pub struct Orders {
    uri: String,
    rows: u64,
}

impl Orders {
    /// Writes `files` files of `rows_each` rows below a directory.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn write(data: &Path, name: &str, files: u64, rows_each: u64) -> Self {
        let directory = data.join(name);
        std::fs::create_dir(&directory).expect("the data directory can be written");
        for file in 0..files {
            let mut text = "id,customer,region,amount,note\n".to_owned();
            for id in file * rows_each..(file + 1) * rows_each {
                writeln!(text, "{id},{},{},{},{NOTE}", customer(id), REGIONS[region(id)], amount(id)).expect("text grows");
            }
            std::fs::write(directory.join(format!("part-{file}.csv")), text).expect("the data directory can be written");
        }
        Self {
            uri: format!("file://{}/", directory.display()),
            rows: files * rows_each,
        }
    }

    /// Where they are, as jobs name it.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Rows in all.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Region of an order.
    #[must_use]
    pub const fn region(id: u64) -> &'static str {
        REGIONS[region(id)]
    }

    /// Amount of an order.
    #[must_use]
    pub const fn amount(id: u64) -> u64 {
        amount(id)
    }

    /// A job: orders and revenue of each region, at least two stages with an exchange between them.
    #[must_use]
    pub fn revenue_by_region(&self) -> Value {
        json!({
            "query": "SELECT region, count(*) AS orders, sum(amount) AS revenue FROM orders GROUP BY region ORDER BY region",
            "tables": { "orders": { "uri": self.uri, "format": "csv" } },
        })
    }

    /// Its answer.
    #[must_use]
    pub fn revenue_by_region_answer(&self) -> Value {
        let mut sums = [(0_u64, 0_u64); 4];
        for id in 0..self.rows {
            let (orders, revenue) = &mut sums[region(id)];
            *orders += 1;
            *revenue += amount(id);
        }
        let mut rows: Vec<_> = REGIONS.iter().zip(sums).collect();
        rows.sort();
        let rows = rows
            .into_iter()
            .map(|(region, (orders, revenue))| json!({ "region": region, "orders": orders, "revenue": revenue }));
        Value::Array(rows.collect())
    }

    /// A job that takes long for its input: each order meets the orders of its customer, in many tasks.
    #[must_use]
    pub fn pairs_by_region(&self) -> Value {
        json!({
            "query": "SELECT a.region, count(*) AS pairs, sum(a.amount + b.amount) AS revenue \
                      FROM orders a JOIN orders b ON a.customer = b.customer GROUP BY a.region ORDER BY a.region",
            "tables": { "orders": { "uri": self.uri, "format": "csv" } },
        })
    }

    /// Its answer.
    #[must_use]
    pub fn pairs_by_region_answer(&self) -> Value {
        let mut by_customer = [(0_u64, 0_u64); CUSTOMERS as usize];
        for id in 0..self.rows {
            let (orders, revenue) = &mut by_customer[customer(id) as usize];
            *orders += 1;
            *revenue += amount(id);
        }
        let mut sums = [(0_u64, 0_u64); 4];
        for id in 0..self.rows {
            let (orders, revenue) = by_customer[customer(id) as usize];
            let (pairs, sum) = &mut sums[region(id)];
            *pairs += orders;
            *sum += orders * amount(id) + revenue;
        }
        let mut rows: Vec<_> = REGIONS.iter().zip(sums).collect();
        rows.sort();
        let rows = rows
            .into_iter()
            .map(|(region, (pairs, revenue))| json!({ "region": region, "pairs": pairs, "revenue": revenue }));
        Value::Array(rows.collect())
    }
}

const CUSTOMERS: u64 = 97;
/// Makes rows long: a table that is small is read by one task, and these are to be read by several.
const NOTE: &str = "please leave it with the neighbours on the second floor who are at home in the afternoon and know about it";

const fn customer(id: u64) -> u64 {
    id % CUSTOMERS
}

const fn region(id: u64) -> usize {
    (id % 4) as usize
}

const fn amount(id: u64) -> u64 {
    id * 7 % 1000
}
