//! Why a request did not succeed.

use std::error::Error as StdError;
use std::time::Duration;

use api::Problem;

/// Why a request did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// The API answered with a problem.
    #[error("{}", describe(.0))]
    Refused(Box<Problem>),
    /// No address could be connected to.
    #[error("cannot reach {}; start a stack with `elasticore up`, or name another with --endpoint", list(.tried))]
    Unreachable {
        /// Each address and what came of it.
        tried: Vec<(String, String)>,
    },
    /// Connected, but no answer.
    #[error("no answer from {endpoint} within {}; a write may or may not have been done", humantime::format_duration(*.after))]
    Timeout {
        /// The address.
        endpoint: String,
        /// How long was waited.
        after: Duration,
    },
    /// The connection broke under the request or its answer.
    #[error("the connection to {endpoint} broke: {reason}; a write may or may not have been done")]
    Broken {
        /// The address.
        endpoint: String,
        /// What the system says.
        reason: String,
    },
    /// An answer that is not of this API.
    #[error("{endpoint} answered {status} in no form of the ElastiCore API ({excerpt:?}); is it the right address?")]
    Foreign {
        /// The address.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// How the body begins.
        excerpt: String,
    },
}

/// A problem as one line: what happened, the code, and the request id to look for in the logs.
fn describe(problem: &Problem) -> String {
    let code = problem.kind.rsplit('/').next().unwrap_or_default();
    match &problem.request_id {
        Some(id) => format!("{} ({code}, request {id})", problem.detail),
        None => format!("{} ({code})", problem.detail),
    }
}

fn list(tried: &[(String, String)]) -> String {
    let each: Vec<String> = tried
        .iter()
        .map(|(endpoint, reason)| format!("{endpoint} ({reason})"))
        .collect();
    each.join(", ")
}

/// The innermost cause, which is the one that says something: "connection refused" rather than "error sending request".
pub(super) fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
