//! `/auth`: API keys, and who one is.

use std::time::Duration;

use access::{Caller, Grant, KeyRecord, KeyState, Kind};
use api::auth::{ApiKey, ApiKeyList, AuthMode, CallerKind, IssuedKey, KeyStatus, NewKey, RotateKey, WhoAmI};
use api::{ErrorCode, Problem};
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use transport::{ApiError, ApiJson, ApiPath, ApiQuery};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::audit::Noted;
use super::who::Who;
use super::{AppState, gate, lifetime};
use crate::app::auth::{Error, Wanted, now_ms};

/// How long an old secret works beside the new one, unless it is said.
const USUAL_GRACE: Duration = Duration::from_secs(60 * 60);
const USUAL_ITEMS: usize = 100;
const MAX_ITEMS: usize = 1000;
/// Answers with secrets are nobody's to keep on the way.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(init))
        .routes(routes!(create, list))
        .routes(routes!(get, revoke))
        .routes(routes!(rotate))
        .routes(routes!(whoami))
}

/// Make the first key of a cluster, which may do everything. Wants the cluster token; works once.
#[utoipa::path(post, operation_id = "auth_init", path = "/auth/init", tag = "auth", params(("x-cluster-token" = String, Header)),
    responses((status = 201, body = IssuedKey), (status = 401, body = Problem),
        (status = 409, body = Problem, description = "It was made before, or authentication is off")))]
async fn init(State(app): State<AppState>, headers: HeaderMap) -> Result<Response, ApiError> {
    gate::of_cluster(&headers, app.cluster_token.expose())?;
    wants_auth(&app)?;
    let (record, text) = app.api_keys.begin("first".to_owned()).await?;
    note("made the first API key", &record, "the cluster token");
    issued(&app, &record, text)
}

/// Make an API key. Its text is shown this once.
#[utoipa::path(post, operation_id = "auth_key_create", path = "/auth/keys", tag = "auth", request_body = NewKey,
    responses((status = 201, body = IssuedKey), (status = 400, body = Problem), (status = 409, body = Problem, description = "Authentication is off"),
        (status = 429, body = Problem, description = "There are as many as there may be")))]
async fn create(State(app): State<AppState>, who: Who, ApiJson(new): ApiJson<NewKey>) -> Result<Response, ApiError> {
    wants_auth(&app)?;
    let grants = new.grants.iter().map(|grant| grant.parse::<Grant>());
    let wanted = Wanted {
        name: new.name,
        grants: grants
            .collect::<Result<_, _>>()
            .map_err(|error| ApiError::invalid(error.to_string()))?,
        ttl: new.ttl.as_deref().map(lifetime::ttl).transpose()?,
    };
    let (record, text) = app.api_keys.create(wanted, &who.0).await?;
    note("made an API key", &record, &who.0.to_string());
    issued(&app, &record, text)
}

/// Which keys.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Options {
    /// At most so many, 1 to 1000; 100 unless set.
    limit: Option<usize>,
    /// Only keys after this one: `next` of the page before.
    after: Option<String>,
}

/// List API keys, also those that ended in the last 30 days. Secrets are nowhere.
#[utoipa::path(get, operation_id = "auth_keys", path = "/auth/keys", tag = "auth", params(Options),
    responses((status = 200, body = ApiKeyList), (status = 400, body = Problem), (status = 409, body = Problem, description = "Authentication is off")))]
async fn list(State(app): State<AppState>, ApiQuery(options): ApiQuery<Options>) -> Result<Json<ApiKeyList>, ApiError> {
    wants_auth(&app)?;
    let limit = options.limit.unwrap_or(USUAL_ITEMS);
    if !(1..=MAX_ITEMS).contains(&limit) {
        return Err(ApiError::invalid(format!("limit is {limit}; it must be 1 to {MAX_ITEMS}")));
    }
    let page = app.api_keys.list(limit, options.after.as_deref()).await?;
    Ok(Json(ApiKeyList {
        next: page.items.last().filter(|_| page.more).map(|record| record.id.clone()),
        items: page.items.iter().map(|record| view(&app, record)).collect(),
    }))
}

/// An API key, without its secret.
#[utoipa::path(get, operation_id = "auth_key", path = "/auth/keys/{id}", tag = "auth", params(("id" = String, Path)),
    responses((status = 200, body = ApiKey), (status = 404, body = Problem), (status = 409, body = Problem, description = "Authentication is off")))]
async fn get(State(app): State<AppState>, ApiPath(id): ApiPath<String>) -> Result<Json<ApiKey>, ApiError> {
    wants_auth(&app)?;
    Ok(Json(view(&app, &app.api_keys.get(&id).await?)))
}

/// Revoke an API key. No master accepts it any more a moment after this answers.
#[utoipa::path(delete, operation_id = "auth_key_revoke", path = "/auth/keys/{id}", tag = "auth", params(("id" = String, Path)),
    responses((status = 200, body = ApiKey), (status = 404, body = Problem), (status = 409, body = Problem, description = "Authentication is off")))]
async fn revoke(State(app): State<AppState>, who: Who, ApiPath(id): ApiPath<String>) -> Result<Response, ApiError> {
    wants_auth(&app)?;
    let record = app.api_keys.revoke(&id).await?;
    note("revoked an API key", &record, &who.0.to_string());
    Ok((noted(&record), Json(view(&app, &record))).into_response())
}

/// Give an API key another secret. Its text is shown this once; the old secret works for a grace.
#[utoipa::path(post, operation_id = "auth_key_rotate", path = "/auth/keys/{id}/rotate", tag = "auth", params(("id" = String, Path)),
    request_body(content = Option<RotateKey>, description = "Nothing, for a grace of an hour"),
    responses((status = 200, body = IssuedKey), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "The key has ended, or authentication is off")))]
async fn rotate(State(app): State<AppState>, who: Who, ApiPath(id): ApiPath<String>, body: Body) -> Result<Response, ApiError> {
    wants_auth(&app)?;
    let asked: RotateKey = super::cluster::optional(body).await?.unwrap_or_default();
    let grace = match asked.grace.as_deref() {
        None => USUAL_GRACE,
        Some("0" | "0s") => Duration::ZERO,
        Some(text) => lifetime::duration("grace", text)?,
    };
    let (record, text) = app.api_keys.rotate(&id, grace).await?;
    note("rotated an API key", &record, &who.0.to_string());
    let about = view(&app, &record);
    Ok((
        [(CACHE_CONTROL, NO_STORE)],
        noted(&record),
        Json(IssuedKey { key: text, about }),
    )
        .into_response())
}

/// Who the caller is, and what they may do.
#[utoipa::path(get, operation_id = "auth_whoami", path = "/auth/whoami", tag = "auth", responses((status = 200, body = WhoAmI)))]
async fn whoami(State(app): State<AppState>, who: Who) -> Json<WhoAmI> {
    let caller: &Caller = &who.0;
    Json(WhoAmI {
        auth: if app.identities.is_on() { AuthMode::On } else { AuthMode::Off },
        kind: match caller.kind {
            Kind::Key => CallerKind::Key,
            Kind::Token => CallerKind::Token,
            Kind::Root => CallerKind::Root,
            Kind::Anonymous => CallerKind::Anonymous,
        },
        id: caller.id.to_string(),
        name: caller.name.to_string(),
        grants: caller.grants.iter().map(ToString::to_string).collect(),
        expires_at_ms: caller.expires_at_ms,
    })
}

/// Keys that anybody may make would be there when authentication is turned on.
fn wants_auth(app: &AppState) -> Result<(), ApiError> {
    if app.identities.is_on() {
        return Ok(());
    }
    let detail = "authentication is off on this master, and keys that anybody can make are worth nothing: start it with AUTH=on";
    Err(ApiError::new(ErrorCode::Conflict, detail))
}

/// The one place through which every change of keys goes, for those who keep a record of them. Nothing secret is in it.
fn note(what: &str, record: &KeyRecord, by: &str) {
    tracing::info!(key = record.id, name = ?record.name, by = ?by, "{what}");
}

/// For the audit log.
fn noted(record: &KeyRecord) -> Extension<Noted> {
    let grants = record.grants.iter().map(ToString::to_string).collect::<Vec<_>>();
    Extension(
        Noted::on(&record.id)
            .with("name", &*record.name)
            .with("grants", grants.join(",")),
    )
}

fn issued(app: &AppState, record: &KeyRecord, text: String) -> Result<Response, ApiError> {
    let location = HeaderValue::from_str(&format!("/auth/keys/{}", record.id)).map_err(|error| ApiError::internal(&error))?;
    let about = view(app, record);
    let headers = [(LOCATION, location), (CACHE_CONTROL, NO_STORE)];
    let answer = (
        StatusCode::CREATED,
        headers,
        noted(record),
        Json(IssuedKey { key: text, about }),
    );
    Ok(answer.into_response())
}

fn view(app: &AppState, record: &KeyRecord) -> ApiKey {
    let now_ms = now_ms();
    let previous = record.previous.as_ref().map(|previous| previous.until_ms);
    ApiKey {
        id: record.id.clone(),
        name: record.name.clone(),
        grants: record.grants.iter().map(ToString::to_string).collect(),
        status: match record.state(now_ms) {
            KeyState::Active => KeyStatus::Active,
            KeyState::Expired => KeyStatus::Expired,
            KeyState::Revoked => KeyStatus::Revoked,
        },
        created_by: record.created_by.clone(),
        created_at_ms: record.created_at_ms,
        expires_at_ms: record.expires_at_ms,
        rotated_at_ms: record.rotated_at_ms,
        previous_until_ms: previous.filter(|until| *until > now_ms),
        revoked_at_ms: record.revoked_at_ms,
        last_used_at_ms: app.identities.keyring().get(&record.id).and_then(|key| key.used_at_ms()),
    }
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
