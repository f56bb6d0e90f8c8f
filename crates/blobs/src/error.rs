//! Why an operation on blobs failed, by what the caller can do.

use api::ErrorCode;
use transport::peer::PeerError;

use crate::holder::NO_SPACE;

/// Result of an operation on blobs.
pub type Result<T> = std::result::Result<T, Error>;

/// Failure of an operation on blobs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name breaks the rules, or a setting does.
    #[error("{0}")]
    Invalid(String),
    /// No blob has this name.
    #[error("there is no blob {0}")]
    NotFound(String),
    /// The name holds another content.
    #[error("blob {0} exists with another content")]
    Conflict(String),
    /// The range begins behind the end.
    #[error("blob {name} has {bytes} bytes; there is nothing at {start}")]
    Range {
        /// The blob.
        name: String,
        /// Its size.
        bytes: u64,
        /// Where the range begins.
        start: u64,
    },
    /// What was to be stored could not be read; nothing was stored.
    #[error("the content of blob {name} ended early: {detail}")]
    Source {
        /// The blob.
        name: String,
        /// Why.
        detail: String,
    },
    /// What came is not what was written, and no other holder has better.
    #[error("blob {name} is damaged: {detail}")]
    Damaged {
        /// The blob.
        name: String,
        /// What does not fit.
        detail: String,
    },
    /// There is no room for it.
    #[error("{0}")]
    NoSpace(String),
    /// Not possible now; nothing is promised, and it may be tried again.
    #[error("{0}")]
    Unavailable(String),
}

impl Error {
    /// The public code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) | Self::Range { .. } | Self::Source { .. } => ErrorCode::InvalidArgument,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Conflict(_) => ErrorCode::Conflict,
            Self::Damaged { .. } => ErrorCode::Internal,
            Self::NoSpace(_) | Self::Unavailable(_) => ErrorCode::Unavailable,
        }
    }

    /// What a holder's refusal, or silence, means.
    pub(crate) fn of_peer(name: &str, error: &PeerError) -> Self {
        let PeerError::Answered { problem, .. } = error else {
            return Self::Unavailable(error.to_string());
        };
        match problem.code {
            ErrorCode::NotFound => Self::NotFound(name.to_owned()),
            ErrorCode::Conflict => Self::Conflict(name.to_owned()),
            ErrorCode::InvalidArgument => Self::Invalid(problem.detail.clone()),
            ErrorCode::Internal => Self::Damaged {
                name: name.to_owned(),
                detail: error.to_string(),
            },
            _ if problem.detail.starts_with(NO_SPACE) => Self::NoSpace(problem.detail.clone()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
