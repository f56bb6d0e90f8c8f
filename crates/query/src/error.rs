//! Why a query cannot be planned.

use api::ErrorCode;
use datafusion::error::DataFusionError;

/// Why a query cannot be planned. The text is for the person who wrote the query.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The SQL is wrong, or asks for what is not offered.
    #[error("{0}")]
    Invalid(String),
    /// A file or directory is not there.
    #[error("{0}")]
    NotFound(String),
    /// A file is outside the data directories.
    #[error("{0}")]
    Forbidden(String),
    /// The query or its plan is over a limit.
    #[error("{0}")]
    TooLarge(String),
    /// Not the query's fault.
    #[error("the query could not be planned: {0}")]
    Internal(String),
}

impl Error {
    /// The code it travels under.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::InvalidArgument,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Forbidden(_) => ErrorCode::Forbidden,
            Self::TooLarge(_) => ErrorCode::TooLarge,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }

    /// An error of the engine while it planned: nearly always the query's fault.
    pub(crate) fn from_engine(error: &DataFusionError) -> Self {
        let text = error.strip_backtrace();
        match error.find_root() {
            DataFusionError::Internal(_) | DataFusionError::ExecutionJoin(_) | DataFusionError::ResourcesExhausted(_) => {
                Self::Internal(text)
            }
            DataFusionError::IoError(_) => Self::Internal(text),
            _ => Self::Invalid(text),
        }
    }
}
