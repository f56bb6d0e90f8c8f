//! Where files are read from: the data directories, the data store, and what of the network the operator allows.
//!
//! The registry is asked whenever a query is planned *and* whenever a task runs, so that a plan from elsewhere reaches nothing
//! that a query here could not.

mod confined;
mod metered;
mod registry;
mod remote;
mod resolver;
mod text;

pub(crate) use confined::ConfinedFiles;
pub(crate) use metered::Metered;
pub(crate) use registry::Stores;
pub use remote::{Remote, S3Settings};
use text::TextStore;
