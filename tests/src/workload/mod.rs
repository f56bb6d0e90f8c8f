//! A seeded load of many clients on the public API, the record of all they were told, and the judge of it.
//!
//! What stays true:
//! - every key is written by one client, which waits for each answer before it writes again: the writes of a key have an order;
//! - every written value is unique and says which write it is, so that a read names the write it saw;
//! - a write that nobody answered may have been executed, one that was answered with 503 or 429 was not;
//! - the judge ([`check`]) is a pure function of the record: any record can be judged again.

mod check;
mod client;
mod door;
mod history;
mod outage;
mod plan;
mod report;
mod run;
mod value;

pub use check::{Kind, Window, Wrong, check};
pub use door::{Door, Reply};
pub use history::{Condition, Event, Found, History, Key, Op, Outcome, Reason, Told};
pub use outage::{Outage, outage};
pub use report::Report;
pub use run::{Running, Workload};
