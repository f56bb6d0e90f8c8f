//! Who asks, for handlers that have to know.

use std::sync::Arc;

use access::{Action, Caller, Denied, Resource};
use api::ErrorCode;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use transport::ApiError;

use super::AppState;
use super::params::Scope;

/// What the gate leaves with a request that it lets in.
#[derive(Debug, Clone)]
pub(crate) struct Known(pub(crate) Arc<Caller>);

/// The caller.
#[derive(Debug, Clone)]
pub(crate) struct Who(pub(crate) Arc<Caller>);

impl Who {
    /// Whether they may do this in a namespace.
    pub(super) fn check(&self, resource: Resource, action: Action, namespace: &str) -> Result<(), ApiError> {
        self.0.check(resource, action, namespace).map_err(denied)
    }

    /// Whether they may do this in what a request is about.
    pub(super) fn check_scope(&self, resource: Resource, action: Action, scope: &Scope) -> Result<(), ApiError> {
        match scope {
            Scope::One(namespace) => self.check(resource, action, namespace),
            Scope::All => self.0.check_everywhere(resource, action).map_err(denied),
        }
    }
}

/// As it is told to who asked.
pub(super) fn denied(denied: Denied) -> ApiError {
    ApiError::new(ErrorCode::Forbidden, denied.to_string())
}

impl FromRequestParts<AppState> for Who {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        match parts.extensions.get::<Known>() {
            Some(Known(caller)) => Ok(Self(Arc::clone(caller))),
            // Whom no gate has let in is nobody, where that matters.
            None if app.identities.is_on() => {
                let detail = "nobody has looked who asks: this is a bug of the server";
                Err(ApiError::new(ErrorCode::Unauthenticated, detail))
            }
            None => Ok(Self(app.identities.anonymous())),
        }
    }
}

/// Resolves when a stream is to end: the master stops, or its listener is not to be answered any more.
pub(super) async fn stream_over(app: AppState, who: Who) {
    tokio::select! {
        () = app.stop.cancelled() => {}
        () = app.identities.over(who.0) => {}
    }
}
