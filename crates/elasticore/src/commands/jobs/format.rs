//! Formats a result can be fetched in.

use std::fmt;

use clap::ValueEnum;

use crate::exit::UsageError;
use crate::output::Output;

/// A format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResultFormat {
    /// One array of objects.
    Json,
    /// One object a line.
    Ndjson,
    /// Comma-separated values with a header line.
    Csv,
    /// One Arrow IPC stream.
    Arrow,
    /// One Parquet file.
    Parquet,
}

impl ResultFormat {
    /// Whether it means nothing to a person's eyes.
    const fn is_binary(self) -> bool {
        matches!(self, Self::Arrow | Self::Parquet)
    }

    /// Refuses to write binary formats to a terminal.
    pub(crate) fn check(self, to_file: bool, output: &Output) -> Result<(), UsageError> {
        if self.is_binary() && !to_file && output.is_for_people() {
            return Err(UsageError(format!(
                "{self} is not for a terminal: add -o FILE, or pipe it on"
            )));
        }
        Ok(())
    }
}

impl fmt::Display for ResultFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        })
    }
}
