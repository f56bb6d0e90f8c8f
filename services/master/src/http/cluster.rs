//! `/nodes`, `/ring` and `/cluster/join`.

use api::headers;
use api::member::Member;
use api::{ErrorCode, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use cluster::JoinAnswer;
use lifecycle::TaskStatus;
use serde::{Deserialize, Serialize};
use transport::{ApiError, ApiQuery};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{AppState, params};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(nodes))
        .routes(routes!(ring))
        .routes(routes!(join))
}

/// The cluster as the answering master sees it.
#[derive(Debug, Serialize, ToSchema)]
struct Nodes {
    /// The master that answers.
    answered_by: String,
    /// The master that leads, when known.
    leader: Option<String>,
    /// Epoch of the ring.
    epoch: u64,
    /// Every registered node.
    nodes: Vec<Node>,
    /// Background tasks of the answering master.
    #[schema(value_type = Vec<Object>)]
    tasks: Vec<TaskStatus>,
}

/// A node.
#[derive(Debug, Serialize, ToSchema)]
struct Node {
    /// What it registered.
    #[serde(flatten)]
    member: Member,
    /// Whether it leads.
    leader: bool,
    /// Part of all keys that it owns; null when it is not in the ring.
    share: Option<f64>,
}

/// Nodes, leader and ring.
#[utoipa::path(get, operation_id = "nodes", path = "/nodes", tag = "operations", responses((status = 200, body = Nodes)))]
async fn nodes(State(app): State<AppState>) -> Json<Nodes> {
    let nodes = app.nodes.list().into_iter().map(|node| Node {
        member: node.member,
        leader: node.leads,
        share: node.share,
    });
    Json(Nodes {
        answered_by: app.nodes.me().to_string(),
        leader: app.nodes.leader().map(|leader| leader.node_id.to_string()),
        epoch: app.nodes.snapshot().epoch().0,
        nodes: nodes.collect(),
        tasks: app.nodes.tasks(),
    })
}

/// Which key to place.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Placed {
    /// The key.
    key: String,
    /// Namespace, instead of the header `X-Namespace`.
    ns: Option<String>,
}

/// Where a key lives.
#[derive(Debug, Serialize, ToSchema)]
struct Placement {
    /// The key.
    key: String,
    /// Epoch of the ring that says so.
    epoch: u64,
    /// Its owners, the primary first.
    owners: Vec<KeyOwner>,
}

/// An owner of a key.
#[derive(Debug, Serialize, ToSchema)]
struct KeyOwner {
    /// The auxiliary.
    node: String,
    /// `host:port` of its private listener.
    address: String,
}

/// Which auxiliaries own a key.
#[utoipa::path(get, operation_id = "ring", path = "/ring", tag = "operations", params(Placed), responses((status = 200, body = Placement), (status = 400, body = Problem)))]
async fn ring(
    State(app): State<AppState>,
    ApiQuery(placed): ApiQuery<Placed>,
    headers: HeaderMap,
) -> Result<Json<Placement>, ApiError> {
    let (key, namespace) = (params::key(placed.key)?, params::namespace(placed.ns.as_deref(), &headers)?);
    let snapshot = app.nodes.snapshot();
    let replicas = snapshot.routing().record().replicas.max(1) as usize;
    let owners = snapshot.routing().owners(&namespace, key.as_str(), replicas);
    let owners = owners
        .map(|owner| KeyOwner {
            node: owner.id.to_string(),
            address: owner.address.clone(),
        })
        .collect();
    Ok(Json(Placement {
        key: key.into_string(),
        epoch: snapshot.epoch().0,
        owners,
    }))
}

/// Tells a node that joins where the control store is; wants the cluster token.
#[utoipa::path(post, operation_id = "cluster_join", path = "/cluster/join", tag = "operations", params(("x-cluster-token" = String, Header)),
    responses((status = 200, description = "Where the control store is"), (status = 401, body = Problem)))]
async fn join(State(app): State<AppState>, headers: HeaderMap) -> Result<Json<JoinAnswer>, ApiError> {
    if !app.is_cluster_token(headers.get(headers::CLUSTER_TOKEN).map_or(&[], |sent| sent.as_bytes())) {
        let detail = "joining wants the header X-Cluster-Token with the CLUSTER_TOKEN of this cluster";
        return Err(ApiError::new(ErrorCode::Unauthenticated, detail));
    }
    Ok(Json(app.nodes.join()))
}
