//! `/jobs`: submit, look, follow, fetch, cancel.

mod events;
mod read;
mod result;
mod submit;
mod tasks;
#[cfg(test)]
mod tests;

use api::ErrorCode;
use axum::http::Method;
use serde::Deserialize;
use transport::ApiError;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;

#[cfg(feature = "fuzzing")]
pub(super) use {read::labels, tasks::place};

use super::AppState;
use crate::app::jobs::Error;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    submit::routes()
        .merge(read::routes())
        .merge(result::routes())
        .merge(events::routes())
        .merge(tasks::routes())
}

/// Whether a request submits a job.
pub(crate) fn is_submission(method: &Method, path: &str) -> bool {
    *method == Method::POST && path == "/jobs"
}

/// Which namespace.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct InNamespace {
    /// Namespace of the job, instead of the header `X-Namespace`.
    ns: Option<String>,
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Peer(error) => error.into(),
            Error::Problem(problem) => problem.into(),
            error if error.code() == ErrorCode::Internal => Self::internal(&error),
            error => Self::new(error.code(), error.to_string()),
        }
    }
}
