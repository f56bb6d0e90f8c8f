//! `/backup`, `/backups` and `/restore`.

use api::Problem;
use api::operations::{BackupListing, BackupReport, RestoreMode, RestoreReport};
use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use transport::{ApiError, ApiQuery};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::audit::Noted;
use super::params::failure;

/// Longest id of a backup.
const MAX_ID_BYTES: usize = 64;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(backup))
        .routes(routes!(list))
        .routes(routes!(restore))
}

/// Back up the cache: every auxiliary of the ring writes what it holds, under one id. A node that fails is said with its
/// `error`, and `complete` is false. A backup that takes longer than this request goes on (`Prefer: wait=60` makes the
/// request longer), and appears in `GET /backups`.
#[utoipa::path(post, operation_id = "backup", path = "/backup", tag = "operations",
    responses((status = 200, body = BackupReport), (status = 409, body = Problem, description = "One is under way"), (status = 503, body = Problem)))]
async fn backup(State(app): State<AppState>) -> Result<(Extension<Noted>, Json<BackupReport>), ApiError> {
    let report = app.backups.make().await.map_err(failure)?;
    let noted = Noted::on(&report.id).with("complete", report.complete.to_string());
    Ok((Extension(noted.with("entries", report.entries.to_string())), Json(report)))
}

/// List backups, the newest first; those of one id together.
#[utoipa::path(get, operation_id = "backups", path = "/backups", tag = "operations", responses((status = 200, body = BackupListing)))]
async fn list(State(app): State<AppState>) -> Json<BackupListing> {
    Json(app.backups.list().await)
}

/// What to restore, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Options {
    /// `merge`: what is there stays, of each key the newest version wins. `replace`: what is there is dropped first.
    mode: Option<String>,
    /// Id of the backup; each node's newest unless given.
    id: Option<String>,
}

/// Restore a backup. Expired entries stay expired. A restore that takes longer than this request goes on (`Prefer: wait=60`
/// makes the request longer).
#[utoipa::path(post, operation_id = "restore", path = "/restore", tag = "operations", params(Options),
    responses((status = 200, body = RestoreReport), (status = 400, body = Problem), (status = 404, body = Problem, description = "No such backup"),
        (status = 409, body = Problem, description = "The ring is changing, or a backup is under way"), (status = 503, body = Problem)))]
async fn restore(
    State(app): State<AppState>,
    ApiQuery(options): ApiQuery<Options>,
) -> Result<(Extension<Noted>, Json<RestoreReport>), ApiError> {
    let mode = match options.mode.as_deref() {
        Some("merge") => RestoreMode::Merge,
        Some("replace") => RestoreMode::Replace,
        _ => {
            return Err(ApiError::invalid(
                "say what becomes of the entries that are there: mode=merge (the newest version wins) or mode=replace (they are dropped)",
            ));
        }
    };
    let id = options.id.map(checked).transpose()?;
    let stamp = app.cache.stamp();
    let noted = Noted::on(id.as_deref().unwrap_or("the newest of each node"));
    let report = app.backups.restore(mode, id, stamp).await.map_err(failure)?;
    let noted = noted.with("mode", format!("{mode:?}").to_lowercase());
    Ok((Extension(noted.with("complete", report.complete.to_string())), Json(report)))
}

fn checked(id: String) -> Result<String, ApiError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(allowed) {
        Ok(id)
    } else {
        Err(ApiError::invalid(format!(
            "{id:?} is no id of a backup: GET /backups lists them"
        )))
    }
}
