//! The endpoints of the cache and of its operations, asked through the routers of a master whose auxiliaries live in this
//! process: real owners behind the seam to peers, and a private listener each, which can be told to fail.

mod access;
mod app;
mod auxiliary;
mod backups;
mod batch;
mod cluster;
mod entries;
mod events;
mod kv;
mod load;
mod namespaces;
mod nodes;
mod prefix;
mod ring;
mod stack;
mod support;

pub(in crate::http) use app::{JobDatasets, Parts, app};
pub(in crate::http) use support::{Answer, Store, eventually};
