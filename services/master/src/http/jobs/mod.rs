//! `/jobs`: submit, look, follow, fetch, cancel.

mod events;
mod read;
mod result;
mod submit;
#[cfg(test)]
mod tests;

use api::ErrorCode;
use transport::ApiError;
use utoipa_axum::router::OpenApiRouter;

use super::AppState;
use crate::app::jobs::Error;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    submit::routes()
        .merge(read::routes())
        .merge(result::routes())
        .merge(events::routes())
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Peer(error) => error.into(),
            error if error.code() == ErrorCode::Internal => Self::internal(&error),
            error => Self::new(error.code(), error.to_string()),
        }
    }
}
