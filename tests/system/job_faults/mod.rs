//! What jobs survive. Each test breaks something while a job is in a known stage, and then asks for the right answer.
//!
//! The job has a map stage and a reduce stage whose cost is known: see [`work`]. Times are those of a busy machine; conditions
//! are waited for.

mod auxiliaries;
mod leaders;
mod partitions;
mod queries;
mod restart;
mod shuffle;
mod traced;
mod work;
mod workers;
