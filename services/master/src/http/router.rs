//! Both listeners' routes.

use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use telemetry::Registry;
use transport::server::{Readiness, operations};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::{
    AppState, auth, backups, cache, cache_batch, cache_prefix, cache_query, cluster, cluster_snapshot, datasets, document,
    documented, events, internal_cluster, internal_jobs, jobs, kv, kv_txn, kv_watch, namespaces, nodes, ring,
};

/// The document the handlers are collected into.
#[derive(OpenApi)]
#[openapi(
    info(title = "ElastiCore", description = "Distributed cache, strongly consistent key-value store, and fault-tolerant SQL jobs."),
    tags(
        (name = "cache", description = "Available and convergent; entries live on the auxiliaries."),
        (name = "kv", description = "Linearizable and durable; keys live in the control store."),
        (name = "jobs", description = "SQL over files, run by the workers."),
        (name = "datasets", description = "Files that are queried as tables; kept as blobs, with copies."),
        (name = "operations", description = "Nodes, ring, membership, backups."),
        (name = "auth", description = "API keys, and who one is.")
    )
)]
struct Document;

/// What clients may ask.
pub(crate) fn public(app: AppState, registry: Registry, readiness: Readiness) -> Router {
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .merge(cache::routes())
        .merge(cache_query::routes())
        .merge(cache_batch::routes())
        .merge(cache_prefix::routes())
        .merge(events::routes())
        .merge(namespaces::routes())
        .merge(kv::routes())
        .merge(kv_txn::routes())
        .merge(kv_watch::routes())
        .merge(datasets::routes())
        .merge(jobs::routes())
        .merge(nodes::routes())
        .merge(cluster::routes())
        .merge(cluster_snapshot::routes())
        .merge(ring::routes())
        .merge(backups::routes())
        .merge(auth::routes())
        .split_for_parts();
    document::secure(&mut document);
    documented::complete(&mut document);
    // Paths with slashes are a matter of routing; a document knows only parameters.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths
        .into_iter()
        .map(|(path, item)| (path.replace("{*", "{"), item))
        .collect();
    let document = Arc::new(document);
    router
        .merge(cache_query::without_slash())
        .route("/openapi.json", get(move || async move { Json(Arc::clone(&document)) }))
        .with_state(app)
        .merge(operations(registry, readiness))
}

/// What nodes of the cluster may ask.
pub(crate) fn private(app: AppState, control: Router, registry: Registry, readiness: Readiness) -> Router {
    internal_jobs::routes()
        .merge(internal_cluster::routes())
        .with_state(app)
        .nest("/internal/v1/control", control)
        .merge(operations(registry, readiness))
}
