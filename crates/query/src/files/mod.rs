//! Input files: where they may lie, how they are named, and how they are read.

mod data_dirs;
mod footer;
mod location;
mod multiline;
mod store;
mod table;

pub use data_dirs::DataDirs;
pub(crate) use store::ConfinedFiles;
pub(crate) use table::register;
