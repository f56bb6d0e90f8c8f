//! Results on their way out, and files on their way in ([`inspect`]).
//!
//! Results: Arrow IPC streams, as tasks write them, turned into what a client asked for.
//!
//! Masters stream results of any size, so everything here is incremental: bytes in, bytes out, and in between never more
//! than one record batch (for Parquet: one row group).

mod converter;
mod error;
mod format;
pub mod inspect;
mod ipc;
mod sink;

pub use converter::Converter;
pub use error::Error;
pub use format::{Format, UnknownFormat};
pub use ipc::IpcDecoder;
