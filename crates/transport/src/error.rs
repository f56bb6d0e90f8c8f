//! The error every handler returns.

use std::time::Duration;

use api::{ErrorCode, Problem};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::RequestId;

/// Media type of [`Problem`].
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// How to be known (RFC 6750), which an answer of 401 must say.
const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"elasticore\"");

/// A failure on its way to a client: code and detail are for the client, anything secret stays in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ApiError {
    /// The public code.
    pub code: ErrorCode,
    /// What happened and what to do about it.
    pub detail: String,
    /// A status other than the code's own (405, 415).
    pub status: Option<u16>,
    /// When to try again; one second unless set, for codes that may be retried.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    /// An error of a code.
    #[must_use]
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            status: None,
            retry_after: None,
        }
    }

    /// The request is wrong.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, detail)
    }

    /// Not executed; try again.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unavailable, detail)
    }

    /// No such thing.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, detail)
    }

    /// A bug or a broken machine: the cause goes to the log, the client learns the request id.
    #[must_use]
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        let mut chain = cause.to_string();
        let mut source = cause.source();
        while let Some(inner) = source {
            chain.push_str(": ");
            chain.push_str(&inner.to_string());
            source = inner.source();
        }
        tracing::error!(error = %chain, "internal error");
        Self::new(
            ErrorCode::Internal,
            "something broke on our side; the log has more under this request id",
        )
    }

    /// Answers with another status than the code's own.
    #[must_use]
    pub const fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status.as_u16());
        self
    }

    /// The body.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let mut problem = Problem::new(self.code, self.detail.clone());
        problem.status = self.status.unwrap_or(problem.status);
        problem.request_id = RequestId::current().map(|id| id.to_string());
        problem
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        let status = (problem.status != problem.code.status()).then_some(problem.status);
        Self {
            code: problem.code,
            detail: problem.detail,
            status,
            retry_after: None,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = self.problem();
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        if self.retry_after.is_some() || matches!(problem.status, 429 | 503) {
            let seconds = self.retry_after.map_or(1, |after| after.as_secs().max(1));
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if problem.status == 401 {
            response.headers_mut().insert(WWW_AUTHENTICATE, BEARER);
        }
        response
    }
}
