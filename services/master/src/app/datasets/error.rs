//! Why a use case of datasets failed, by what the caller can do.

use api::ErrorCode;

/// Failure of a use case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is wrong, or the file is not what it claims to be.
    #[error("{0}")]
    Invalid(String),
    /// No such dataset, or no such file in it.
    #[error("{0}")]
    NotFound(String),
    /// The dataset as it is does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// The file is there, and was not to be replaced.
    #[error("{0}")]
    Precondition(String),
    /// A limit of datasets.
    #[error("{0}")]
    TooLarge(String),
    /// Not done; it may be tried again.
    #[error("{0}")]
    Unavailable(String),
    /// The control store failed.
    #[error(transparent)]
    Store(#[from] control::Error),
    /// The store of blobs failed.
    #[error(transparent)]
    Blobs(#[from] blobs::Error),
    /// A manifest cannot be read.
    #[error("the manifest {key} cannot be read")]
    Manifest {
        /// Its key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl Error {
    /// The public code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::InvalidArgument,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Conflict(_) => ErrorCode::Conflict,
            Self::Precondition(_) => ErrorCode::PreconditionFailed,
            Self::TooLarge(_) => ErrorCode::TooLarge,
            Self::Unavailable(_) => ErrorCode::Unavailable,
            Self::Store(error) => error.code(),
            Self::Blobs(error) => error.code(),
            Self::Manifest { .. } => ErrorCode::Internal,
        }
    }
}
