//! `/ring`, and what operators may have done to it: `/rebalance` and `/nodes/{id}/drain`.

use std::error::Error as _;
use std::time::Duration;

use api::member::{Layout, Phase};
use api::operations::RingChange;
use api::{BootId, ErrorCode, NodeId, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use cluster::{Error, NodeIndex, Routing};
use hash_ring::hash_key;
use serde::{Deserialize, Serialize};
use transport::{ApiError, ApiPath, ApiQuery};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{AppState, params};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(ring))
        .routes(routes!(rebalance))
        .routes(routes!(drain))
}

/// What to show.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Options {
    /// A key to place, which need not exist; without it the members of the ring are shown.
    key: Option<String>,
    /// Namespace of the key, instead of the header `X-Namespace`.
    ns: Option<String>,
}

/// With a key where it lives, otherwise who is in the ring.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Shown {
    Key(Placement),
    Members(Ring),
}

/// Where a key lives.
#[derive(Debug, Serialize, ToSchema)]
struct Placement {
    /// The key.
    key: String,
    /// Epoch of the ring that says so.
    epoch: u64,
    /// How far a change of the ring has come.
    phase: Phase,
    /// Everybody who must have a write of it: the primary first. Empty while nobody serves it.
    owners: Vec<KeyOwner>,
    /// Whom it is read from: the primary, then the others in turn.
    readers: Vec<String>,
    /// Who else gets its writes, from the primary.
    copies: Vec<String>,
}

/// An owner of a key.
#[derive(Debug, Serialize, ToSchema)]
struct KeyOwner {
    /// The auxiliary.
    node: String,
    /// `host:port` of its private listener; null while nobody knows how to call it.
    address: Option<String>,
}

/// The ring.
#[derive(Debug, Serialize, ToSchema)]
struct Ring {
    /// Grows with every change.
    epoch: u64,
    /// How far a change has come.
    phase: Phase,
    /// Copies of each entry.
    replicas: u32,
    /// Points of an auxiliary of weight 1.
    virtual_nodes: u32,
    /// Who owns the keys, or is to own them when the change is over.
    members: Vec<RingNode>,
    /// While a change is under way: who owned them before.
    previous: Option<Vec<RingNode>>,
}

/// A life of an auxiliary in the ring.
#[derive(Debug, Serialize, ToSchema)]
struct RingNode {
    /// Its name.
    node: String,
    /// Which life of it.
    boot_id: BootId,
    /// Share relative to the others.
    weight: u32,
    /// Failure domain.
    zone: Option<String>,
    /// Part of all keys that it is the primary of; null for previous ones.
    share: Option<f64>,
    /// It is gone, and what it held is not counted on.
    lost: bool,
}

/// Who owns a key; without one, who is in the ring.
#[utoipa::path(get, operation_id = "ring", path = "/ring", tag = "operations", params(Options),
    responses((status = 200, body = Shown), (status = 400, body = Problem)))]
async fn ring(
    State(app): State<AppState>,
    ApiQuery(options): ApiQuery<Options>,
    headers: HeaderMap,
) -> Result<Json<Shown>, ApiError> {
    let namespace = params::namespace(options.ns.as_deref(), &headers)?;
    let snapshot = app.nodes.snapshot();
    let routing = snapshot.routing();
    Ok(Json(match options.key {
        Some(key) => Shown::Key(placement(routing, &namespace, params::key(key)?.into_string())),
        None => Shown::Members(members(routing)),
    }))
}

fn placement(routing: &Routing, namespace: &str, key: String) -> Placement {
    let plan = routing.plan(hash_key(namespace, &key));
    let name = |index: &NodeIndex| routing.name(*index).map_or_else(String::new, ToString::to_string);
    let others = plan
        .readers
        .iter()
        .chain(plan.copies.iter().filter(|copy| !plan.readers.contains(copy)));
    let owners = others.map(|index| KeyOwner {
        node: name(index),
        address: routing.node(*index).map(|owner| owner.address.clone()),
    });
    Placement {
        epoch: routing.epoch().0,
        phase: routing.record().phase,
        owners: owners.collect(),
        readers: plan.readers.iter().map(name).collect(),
        copies: plan.copies.iter().map(name).collect(),
        key,
    }
}

fn members(routing: &Routing) -> Ring {
    let record = routing.record();
    let shares: Vec<(&NodeId, f64)> = routing.shares().collect();
    let nodes = |layout: &Layout, shares: &[(&NodeId, f64)]| {
        let node = |member: &api::member::RingMember| RingNode {
            node: member.id.to_string(),
            boot_id: member.boot_id,
            weight: member.weight,
            zone: member.zone.clone(),
            share: shares.iter().find(|(id, _)| **id == member.id).map(|(_, share)| *share),
            lost: member.lost,
        };
        layout.members.iter().map(node).collect()
    };
    Ring {
        epoch: record.epoch.0,
        phase: record.phase,
        replicas: record.layout.replicas,
        virtual_nodes: record.layout.virtual_nodes,
        members: nodes(&record.layout, &shares),
        previous: record.previous.as_ref().map(|layout| nodes(layout, &[])),
    }
}

/// Have all auxiliaries compare what they hold, and fetch what they lack.
#[utoipa::path(post, operation_id = "rebalance", path = "/rebalance", tag = "operations",
    params(("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds (at most 60) until it is done")),
    responses((status = 200, body = RingChange, description = "Done"), (status = 202, body = RingChange, description = "Under way"), (status = 503, body = Problem)))]
async fn rebalance(State(app): State<AppState>, headers: HeaderMap) -> Result<Response, ApiError> {
    let patience = params::wait(&headers)?.unwrap_or_default();
    let change = app.ring.rebalance(patience).await;
    Ok(changed(change.map_err(refused)?))
}

/// Have an auxiliary hand over what it holds, and leave the ring. It stays out for as long as it runs.
#[utoipa::path(post, operation_id = "node_drain", path = "/nodes/{id}/drain", tag = "operations",
    params(("id" = String, Path), ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds (at most 60) until it is done")),
    responses((status = 200, body = RingChange, description = "Done: it holds nothing any more and may be stopped"), (status = 202, body = RingChange, description = "Under way"),
        (status = 404, body = Problem), (status = 409, body = Problem, description = "Too few would be left, or it is not in the ring")))]
async fn drain(State(app): State<AppState>, ApiPath(id): ApiPath<String>, headers: HeaderMap) -> Result<Response, ApiError> {
    let patience = params::wait(&headers)?.unwrap_or_default();
    let known = NodeId::try_new(id.as_str()).ok().filter(|id| app.ring.knows(id));
    let Some(node) = known else {
        let detail = format!("there is no auxiliary {id:?}; GET /nodes lists them");
        return Err(ApiError::not_found(detail));
    };
    let change = app.ring.drain(&node, patience).await;
    Ok(changed(change.map_err(refused)?))
}

fn changed(change: RingChange) -> Response {
    let status = if change.done { StatusCode::OK } else { StatusCode::ACCEPTED };
    (status, Json(change)).into_response()
}

fn refused(error: Error) -> ApiError {
    match error {
        Error::Keep { .. } => {
            let why = error.source().map_or_else(String::new, |reason| format!(": {reason}"));
            ApiError::new(ErrorCode::Conflict, format!("{error}{why}"))
        }
        Error::Control(error) => error.into(),
        Error::ControlSilent { .. } => {
            let mut silent = ApiError::unavailable(error.to_string());
            silent.retry_after = Some(Duration::from_secs(1));
            silent
        }
        other => ApiError::internal(&other),
    }
}
