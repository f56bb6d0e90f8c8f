//! Why a call to a peer failed, by what is known of its execution.

use api::{ErrorCode, Problem};

use crate::ApiError;

/// Failure of a call to a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// Certainly not executed: refused, no route, breaker open.
    #[error("{peer} cannot be reached: {detail}")]
    Unreachable {
        /// `host:port`.
        peer: String,
        /// What happened.
        detail: String,
    },
    /// Outcome unknown: no answer in time, or the connection broke.
    #[error("{peer} did not answer: {detail}")]
    NoAnswer {
        /// `host:port`.
        peer: String,
        /// What happened.
        detail: String,
    },
    /// The peer answered with a problem.
    #[error("{peer} answered: {}", .problem.detail)]
    Answered {
        /// `host:port`.
        peer: String,
        /// Its answer.
        problem: Box<Problem>,
    },
    /// The peer's answer makes no sense.
    #[error("{peer} answered something that cannot be read: {detail}")]
    Malformed {
        /// `host:port`.
        peer: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl PeerError {
    /// The public code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Unreachable { .. } => ErrorCode::Unavailable,
            Self::NoAnswer { .. } => ErrorCode::Timeout,
            Self::Answered { problem, .. } => problem.code,
            Self::Malformed { .. } => ErrorCode::Internal,
        }
    }

    /// What happened, in a word.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::NoAnswer { .. } => "no_answer",
            Self::Answered { .. } => "answered",
            Self::Malformed { .. } => "malformed",
        }
    }

    /// Whether the peer is to blame: what the breaker counts.
    pub(super) const fn is_peer_failure(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::NoAnswer { .. } | Self::Malformed { .. }
        )
    }
}

impl From<PeerError> for ApiError {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::Answered { problem, .. } => (*problem).into(),
            other => Self::new(other.code(), other.to_string()),
        }
    }
}
