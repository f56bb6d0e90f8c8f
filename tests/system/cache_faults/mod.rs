//! What the cache survives. Each test breaks something under load and then asks the same of the system: no wrong value, no lost
//! acknowledged entry, a stable ring and equal copies within 30 seconds after the fault is over.
//!
//! `ELASTICORE_FAULT_REPORT=path` adds a row for each fault to a Markdown table (docs/faults.md is made so),
//! `ELASTICORE_FAULT_ROUNDS=n` repeats each fault, `ELASTICORE_SEED=n` repeats the clients' choices of a run.

mod auxiliary_killed;
mod auxiliary_stopped;
mod backup_disk;
mod change_interrupted;
mod etcd_down;
mod everything;
mod fault;
mod master_stopped;
mod masters_killed;
mod mixed;
mod partitions;
mod scaling;

use fault::{Fault, Limits, rounds};
