//! Histories of the key-value store on real masters, with something breaking all the time.
//!
//! One history: a cluster of its own, clients and watchers from `histories`, a fault again and again, then everything is made
//! whole, all keys are read over every master, and the record is judged.

mod cluster;
mod fault;
mod history;
mod hogs;
mod nemesis;
mod orders;
mod table;

pub use cluster::{Cluster, Engine};
pub use fault::Fault;
pub use history::{Done, Plan, run, words};
pub use table::Table;
