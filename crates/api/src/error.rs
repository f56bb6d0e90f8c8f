//! One closed set of error codes, and the one body errors travel in (RFC 9457).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request failed; the same code inside the process, between nodes and at the public edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request itself is wrong; resending it unchanged cannot help.
    InvalidArgument,
    /// No credentials, or ones that nobody issued.
    Unauthenticated,
    /// Known caller, not allowed.
    Forbidden,
    /// No such key, job, dataset, node or route.
    NotFound,
    /// Something of that name exists, or the state does not allow the operation.
    Conflict,
    /// `If-Match` or `If-None-Match` did not hold.
    PreconditionFailed,
    /// Key, value, body or result over its limit.
    TooLarge,
    /// This node does not lead; another one does.
    NotLeader,
    /// Over a quota or rate; not executed.
    RateLimited,
    /// Not executed; try again soon.
    Unavailable,
    /// Outcome unknown: it may or may not have been executed.
    Timeout,
    /// A bug or a broken machine.
    Internal,
}

impl ErrorCode {
    /// HTTP status of the code: the one table.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidArgument => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::PreconditionFailed => 412,
            Self::TooLarge => 413,
            Self::NotLeader => 421,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::Timeout => 504,
        }
    }

    /// Whether the request was certainly not executed and may succeed when sent again.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable | Self::NotLeader)
    }

    /// Short human title, the `title` member of the problem.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::InvalidArgument => "Invalid argument",
            Self::Unauthenticated => "Authentication required",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not found",
            Self::Conflict => "Conflict",
            Self::PreconditionFailed => "Precondition failed",
            Self::TooLarge => "Too large",
            Self::NotLeader => "Not the leader",
            Self::RateLimited => "Rate limited",
            Self::Unavailable => "Unavailable",
            Self::Timeout => "Timed out",
            Self::Internal => "Internal error",
        }
    }
}

/// Body of every error answer, `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// URI reference of the kind of problem: `/problems/{code}`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short summary, the same for every problem of this code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened this time and what to do about it.
    pub detail: String,
    /// Machine-readable code.
    pub code: ErrorCode,
    /// The request it answers, as in `X-Request-Id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Problem {
    /// A problem of `code`; status (usually the code's own), title and type follow from it.
    #[must_use]
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let name = serde_json::to_value(code)
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default();
        Self {
            kind: format!("/problems/{name}"),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code,
            request_id: None,
        }
    }
}
