//! Whole queries: planned, cut, run task by task with files in between, and compared with the engine in one piece.
//!
//! They live in the library so that only one test binary links DataFusion.

mod answers;
mod bombs;
mod checksums;
mod cluster;
mod costs;
mod data;
mod differential;
mod duck;
mod faults;
mod generate;
mod hostile;
mod memory;
mod outputs;
mod queries;
mod refusals;
mod remote;
mod repeatable;
mod splits;
mod statements;
mod stores;
mod tables;
mod tpch;
