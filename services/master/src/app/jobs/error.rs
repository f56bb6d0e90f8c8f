//! Why a use case of jobs failed, by what the caller can do.

use api::{ErrorCode, JobId};
use transport::peer::PeerError;

/// Failure of a use case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is wrong.
    #[error("{0}")]
    Invalid(String),
    /// No such job (any more).
    #[error("there is no job {0} in this namespace: it never was, or its result's time is over")]
    NotFound(JobId),
    /// The state of the job does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// Only the leader does this, and this master is not it (yet, or any more).
    #[error("this master does not lead; ask the leader")]
    NotLeader,
    /// The namespace has as much as it may have.
    #[error("{0}")]
    OverQuota(String),
    /// The job failed, for this reason.
    #[error("{}", .0.detail)]
    Problem(api::Problem),
    /// Not possible now.
    #[error("{0}")]
    Unavailable(String),
    /// The control store failed.
    #[error(transparent)]
    Store(#[from] control::Error),
    /// The leader, or the holder of a result, failed.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A record cannot be read.
    #[error("the record {key} cannot be read")]
    Record {
        /// Its key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A committed part of a result is not there.
    #[error("part {part} of the result of job {job} is gone: {detail}")]
    ResultLost {
        /// The job.
        job: JobId,
        /// Which part.
        part: usize,
        /// What was tried.
        detail: String,
    },
    /// The result cannot be given in this format.
    #[error("{0}")]
    Format(String),
    /// The result is damaged.
    #[error("the result cannot be read")]
    Damaged(#[source] formats::Error),
}

impl Error {
    /// The public code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) | Self::Format(_) => ErrorCode::InvalidArgument,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Conflict(_) => ErrorCode::Conflict,
            Self::NotLeader => ErrorCode::NotLeader,
            Self::OverQuota(_) => ErrorCode::RateLimited,
            Self::Problem(problem) => problem.code,
            Self::Unavailable(_) => ErrorCode::Unavailable,
            Self::Store(error) => error.code(),
            Self::Peer(error) => error.code(),
            Self::Record { .. } | Self::ResultLost { .. } | Self::Damaged(_) => ErrorCode::Internal,
        }
    }

    /// Whether asking again soon may help. Only for calls that may be made twice.
    pub(super) const fn is_transient(&self) -> bool {
        matches!(
            self.code(),
            ErrorCode::Unavailable | ErrorCode::NotLeader | ErrorCode::Timeout
        )
    }
}

impl From<formats::Error> for Error {
    fn from(error: formats::Error) -> Self {
        match &error {
            formats::Error::Unsupported { source, .. } => Self::Format(format!("{error}: {source}; ask for another format")),
            _ => Self::Damaged(error),
        }
    }
}
