//! What masters and operators ask of the cache on this node, in JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::cache::NodeStatus;
use api::{Epoch, ErrorCode, NodeId};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use cache::events::Event;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use store::backup::{BackupId, Error};
use tokio::sync::broadcast::error::RecvError;
use transport::{ApiError, ApiJson};

use crate::app::App;
use crate::app::backups::RestoreError;
use crate::app::refusal;

pub(super) async fn status(State(app): State<Arc<App>>) -> Json<NodeStatus> {
    Json(app.status())
}

/// What this node shares with others.
#[derive(Debug, Serialize)]
pub(super) struct Agreement {
    epoch: Epoch,
    phase: &'static str,
    digests: BTreeMap<NodeId, String>,
}

pub(super) async fn agreement(State(app): State<Arc<App>>) -> Json<Agreement> {
    let (epoch, phase) = (app.owner.epoch(), app.owner.phase());
    let digests = app.owner.agreement().await;
    Json(Agreement {
        epoch,
        phase: phase.as_str(),
        digests: digests
            .into_iter()
            .map(|(id, digest)| (id, format!("{digest:016x}")))
            .collect(),
    })
}

/// What of a namespace this node is the primary of.
#[derive(Debug, Serialize)]
pub(super) struct NamespaceUsage {
    namespace: String,
    entries: u64,
    bytes: u64,
    hits: u64,
    misses: u64,
    evictions: u64,
}

pub(super) async fn namespaces(State(app): State<Arc<App>>) -> Json<Vec<NamespaceUsage>> {
    let used = app.owner.store().namespaces().into_iter();
    let used = used.map(|(namespace, stats)| NamespaceUsage {
        namespace: namespace.to_string(),
        entries: stats.entries as u64,
        bytes: stats.bytes as u64,
        hits: stats.hits,
        misses: stats.misses,
        evictions: stats.evictions,
    });
    Json(used.collect())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prefix {
    namespace: String,
    prefix: String,
    version: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Deleted {
    deleted: u64,
}

pub(super) async fn delete_prefix(
    State(app): State<Arc<App>>,
    ApiJson(asked): ApiJson<Prefix>,
) -> Result<Json<Deleted>, ApiError> {
    let deleted = app.owner.delete_prefix(&asked.namespace, &asked.prefix, asked.version).await;
    let deleted = deleted.map_err(|refused| refusal(&refused))?;
    Ok(Json(Deleted { deleted }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Clear {
    older_than: u64,
}

pub(super) async fn clear(State(app): State<Arc<App>>, ApiJson(asked): ApiJson<Clear>) -> Json<Deleted> {
    let deleted = app.owner.store().clear(asked.older_than) as u64;
    tracing::warn!(deleted, "entries cleared, to be replaced by a backup");
    Json(Deleted { deleted })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    #[serde(default)]
    id: Option<String>,
}

impl Named {
    fn id(self) -> Result<Option<BackupId>, ApiError> {
        let id = self.id.map(BackupId::try_new).transpose();
        id.map_err(|error| ApiError::invalid(error.to_string()))
    }
}

/// A backup as answers show it.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    id: String,
    node: NodeId,
    #[serde(skip_serializing_if = "Option::is_none")]
    made_at_ms: Option<u64>,
    entries: u64,
    bytes: u64,
    /// Why it is of no use.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<String>,
}

impl Shown {
    fn whole(info: &store::backup::BackupInfo) -> Self {
        Self {
            id: info.id.to_string(),
            node: info.node.clone(),
            made_at_ms: Some(info.made_at_ms),
            entries: info.entries,
            bytes: info.bytes,
            damaged: None,
        }
    }
}

pub(super) async fn backup(State(app): State<Arc<App>>, ApiJson(asked): ApiJson<Named>) -> Result<Json<Shown>, ApiError> {
    let id = asked.id()?.unwrap_or_else(BackupId::new_now);
    let written = app.backups.write(id, &app.owner).await;
    Ok(Json(Shown::whole(&written.map_err(|error| unusable(&error))?)))
}

pub(super) async fn backups(State(app): State<Arc<App>>) -> Result<Json<Vec<Shown>>, ApiError> {
    let found = app.backups.list().await.map_err(|error| unusable(&error))?;
    let shown = found.into_iter().map(|found| match found.info {
        Ok(info) => Shown::whole(&info),
        Err(error) => Shown {
            id: found.id.to_string(),
            node: app.owner.id().clone(),
            made_at_ms: None,
            entries: 0,
            bytes: 0,
            damaged: Some(error.to_string()),
        },
    });
    Ok(Json(shown.collect()))
}

pub(super) async fn restore(State(app): State<Arc<App>>, ApiJson(asked): ApiJson<Named>) -> Result<Json<Shown>, ApiError> {
    let restored = app
        .backups
        .restore(asked.id()?, &app.owner)
        .await
        .map_err(|error| match &error {
            RestoreError::Backup(error) => unusable(error),
            RestoreError::Owners(error) => ApiError::unavailable(error.to_string()),
            RestoreError::Nothing => ApiError::not_found(error.to_string()),
        })?;
    Ok(Json(Shown::whole(&restored)))
}

fn unusable(error: &Error) -> ApiError {
    match error {
        Error::InvalidId(_) => ApiError::invalid(error.to_string()),
        Error::NotFound { .. } => ApiError::not_found(error.to_string()),
        Error::Exists(_) => ApiError::new(ErrorCode::Conflict, error.to_string()),
        _ => {
            let reason = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
            ApiError::new(ErrorCode::Unavailable, format!("{error}{reason}"))
        }
    }
}

/// Silence after which an empty line says that this node is still there; masters give up a stream that is silent for longer.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Lines of JSON, one an event, and empty ones while nothing happens, until the caller leaves or the node stops.
pub(super) async fn events(State(app): State<Arc<App>>) -> Response {
    let heard = app.owner.events().subscribe();
    app.owner.store().set_listening(true);
    let lines = futures::stream::unfold(heard, |mut heard| async move {
        let line = match tokio::time::timeout(HEARTBEAT, heard.recv()).await {
            Ok(Ok(event)) => line(&event),
            Ok(Err(RecvError::Lagged(lost))) => serde_json::json!({ "lagged": lost }).to_string(),
            Ok(Err(RecvError::Closed)) => return None,
            Err(_) => String::new(),
        };
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(line + "\n")), heard))
    });
    let stop = app.stop.clone();
    let lines = lines.take_until(async move { stop.cancelled().await });
    (
        [(axum::http::header::CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(lines),
    )
        .into_response()
}

fn line(event: &Event) -> String {
    serde_json::json!({
        "kind": event.kind.as_str(),
        "namespace": event.namespace,
        "key": event.key,
        "version": event.version,
    })
    .to_string()
}
