//! `/nodes` and `/cluster/join`.

use api::cache::NodeStatus;
use api::member::{Member, Phase, Role};
use api::raft::{AddMember, StoreMember};
use api::{NodeId, Problem};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use cluster::JoinAnswer;
use lifecycle::TaskStatus;
use serde::Serialize;
use transport::ApiError;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use crate::app::nodes::{self, AuxiliaryNode};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(join))
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
    /// How far a change of the ring has come.
    phase: Phase,
    /// Revision of the control store that wrote this ring.
    ring_revision: u64,
    /// Whether a rebalance was asked for that has not begun.
    rebalancing: bool,
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
    /// Part of all keys that it is the primary of; null when it is not in the ring.
    share: Option<f64>,
    /// Auxiliaries only.
    #[serde(flatten)]
    auxiliary: Option<Auxiliary>,
    /// Workers only.
    #[serde(flatten)]
    worker: Option<Worker>,
}

/// What only workers have.
#[derive(Debug, Serialize, ToSchema)]
struct Worker {
    /// Whether it gets no tasks for a while, since tasks fail on it that succeed elsewhere; null when the leader does not say at once.
    left_out: Option<bool>,
}

/// What only auxiliaries have.
#[derive(Debug, Serialize, ToSchema)]
struct Auxiliary {
    /// Whether it was asked to leave the ring.
    draining: bool,
    /// What it says of itself; null when it does not answer at once.
    cache: Option<NodeStatus>,
    /// Why it says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<AuxiliaryNode> for Auxiliary {
    fn from(node: AuxiliaryNode) -> Self {
        let (cache, error) = match node.status {
            Ok(status) => (Some(status), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            draining: node.draining,
            cache,
            error,
        }
    }
}

impl Node {
    fn new(node: nodes::Node, left_out: Option<&[NodeId]>) -> Self {
        let is_left_out = |id| left_out.map(|left_out| left_out.contains(id));
        let is_worker = node.member.role == Role::Worker;
        Self {
            worker: is_worker.then(|| Worker {
                left_out: is_left_out(&node.member.id),
            }),
            member: node.member,
            leader: node.leads,
            share: node.share,
            auxiliary: node.auxiliary.map(Auxiliary::from),
        }
    }
}

/// Nodes, leader and ring; what auxiliaries hold and how far they are with range sync; which workers get no tasks for a while.
#[utoipa::path(get, operation_id = "nodes", path = "/nodes", tag = "operations", responses((status = 200, body = Nodes)))]
async fn list(State(app): State<AppState>) -> Json<Nodes> {
    let snapshot = app.nodes.snapshot();
    let (nodes, left_out) = tokio::join!(app.nodes.list(&snapshot), app.jobs.left_out());
    let nodes = nodes.into_iter().map(|node| Node::new(node, left_out.as_deref()));
    Json(Nodes {
        answered_by: app.nodes.me().to_string(),
        leader: snapshot.leader().map(|leader| leader.node_id.to_string()),
        epoch: snapshot.epoch().0,
        phase: snapshot.phase(),
        ring_revision: snapshot.ring().mod_revision,
        rebalancing: snapshot.rebalance(),
        nodes: nodes.collect(),
        tasks: app.nodes.tasks(),
    })
}

/// Tells a node that joins where the control store is. With a body, makes a place among the masters of the built-in control
/// store instead. Wants the cluster token.
#[utoipa::path(post, operation_id = "cluster_join", path = "/cluster/join", tag = "operations", params(("x-cluster-token" = String, Header)),
    request_body(content = Option<AddMember>, description = "Nothing, or the master to make a place for"),
    responses((status = 200, description = "Where the control store is"), (status = 201, body = StoreMember, description = "The place of the new member"),
        (status = 401, body = Problem), (status = 409, body = Problem, description = "Name or address are taken, or another change is under way")))]
async fn join(State(app): State<AppState>, headers: HeaderMap, body: Body) -> Result<Response, ApiError> {
    super::gate::of_cluster(&headers, app.cluster_token.expose())?;
    match super::cluster::optional(body).await? {
        Some(wanted) => super::cluster::add(&app, wanted).await,
        None => Ok(Json::<JoinAnswer>(app.nodes.join()).into_response()),
    }
}
