//! Whole queries: planned, cut, run task by task with files in between, and compared with the engine in one piece.
//!
//! They live in the library so that only one test binary links DataFusion.

mod answers;
mod cluster;
mod data;
mod differential;
mod duck;
mod faults;
mod generate;
mod queries;
mod refusals;
mod repeatable;
mod statements;
mod tpch;
