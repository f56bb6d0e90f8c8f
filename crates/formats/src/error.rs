//! Why a result cannot be converted.

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

/// Why a result cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part is no Arrow IPC stream, or a damaged one.
    #[error("part {part} of the result is not a readable Arrow IPC stream")]
    Damaged {
        /// Which part, 0-based.
        part: usize,
        /// What is wrong with it.
        #[source]
        source: ArrowError,
    },
    /// A part ends before its end-of-stream marker: rows are missing.
    #[error("part {part} of the result ends before its end-of-stream marker: rows are missing")]
    Truncated {
        /// Which part, 0-based.
        part: usize,
    },
    /// Parts of one result must have the same columns.
    #[error("part {part} of the result has other columns than the parts before it")]
    SchemaMismatch {
        /// Which part, 0-based.
        part: usize,
    },
    /// There was no part, so the columns are unknown.
    #[error("the result has no part, so its columns are unknown")]
    NoParts,
    /// The rows cannot be written in this format, usually because of a column's type.
    #[error("the result cannot be written as {format}")]
    Unsupported {
        /// The format asked for.
        format: &'static str,
        /// What stands in the way.
        #[source]
        source: ArrowError,
    },
    /// The Parquet writer refused.
    #[error("the result cannot be written as parquet")]
    Parquet(#[source] ParquetError),
}
