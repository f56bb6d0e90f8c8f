//! `/datasets`: upload, look, download, remove.

mod download;
mod read;
mod remove;
#[cfg(test)]
mod tests;
mod upload;

use api::ErrorCode;
use axum::http::{HeaderMap, Method};
use serde::Deserialize;
use transport::ApiError;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;

use super::{AppState, params};
use crate::app::datasets::{Error, Name};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    read::routes()
        .merge(upload::routes())
        .merge(download::routes())
        .merge(remove::routes())
}

/// Uploads take as long as they are large; one in which nothing comes for a minute is given up.
pub(crate) fn is_unhurried(method: &Method, path: &str) -> bool {
    method == Method::PUT && path.starts_with("/datasets/")
}

/// Where the dataset is.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Place {
    /// Its namespace; `X-Namespace` does the same.
    ns: Option<String>,
}

fn name(place: Option<&str>, headers: &HeaderMap, name: String) -> Result<Name, ApiError> {
    Ok(Name::try_new(params::namespace(place, headers)?, name)?)
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        if error.code() == ErrorCode::Internal {
            Self::internal(&error)
        } else {
            Self::new(error.code(), error.to_string())
        }
    }
}
