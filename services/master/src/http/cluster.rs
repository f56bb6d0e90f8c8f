//! `/cluster`: the members of the control store. Any master answers for all; with the built-in engine changes are carried
//! out by the raft leader.

use api::raft::{AddMember, StoreMember, StoreMembers, StoreStatus, TransferLeader, Transferred};
use api::{NodeId, Problem};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use transport::{ApiError, ApiPath, read_body};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;

/// Largest body of a request here.
const MAX_BODY: usize = 64 << 10;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(members))
        .routes(routes!(status))
        .routes(routes!(remove))
        .routes(routes!(transfer_leader))
}

/// The members of the control store, as its leader sees them.
#[utoipa::path(get, operation_id = "cluster_members", path = "/cluster/members", tag = "operations",
    responses((status = 200, body = StoreMembers), (status = 503, body = Problem, description = "No leader can be reached")))]
async fn members(State(app): State<AppState>) -> Result<Json<StoreMembers>, ApiError> {
    let members = app.cluster.members().await?;
    Ok(Json(StoreMembers { members }))
}

/// How the control store is, as the answering master sees it; without a leader too.
#[utoipa::path(get, operation_id = "cluster_status", path = "/cluster/status", tag = "operations",
    responses((status = 200, body = StoreStatus), (status = 503, body = Problem, description = "No member of etcd answers")))]
async fn status(State(app): State<AppState>) -> Result<Json<StoreStatus>, ApiError> {
    Ok(Json(app.cluster.status(app.nodes.me()).await?))
}

/// Take a member out for good: also the leader, which hands over first, and one that is dead. Its directory is of no use
/// any more.
#[utoipa::path(delete, operation_id = "cluster_remove", path = "/cluster/members/{name}", tag = "operations", params(("name" = String, Path)),
    responses((status = 204, description = "Removed"), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "Another change is under way, or too few would be left"), (status = 503, body = Problem)))]
async fn remove(State(app): State<AppState>, ApiPath(name): ApiPath<String>) -> Result<StatusCode, ApiError> {
    app.cluster.remove(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Have another member lead.
#[utoipa::path(post, operation_id = "cluster_transfer_leader", path = "/cluster/transfer-leader", tag = "operations",
    request_body(content = Option<TransferLeader>, description = "Nothing, for whoever is furthest"),
    responses((status = 200, body = Transferred), (status = 404, body = Problem), (status = 409, body = Problem), (status = 503, body = Problem)))]
async fn transfer_leader(State(app): State<AppState>, body: Body) -> Result<Json<Transferred>, ApiError> {
    let TransferLeader { to } = optional(body).await?.unwrap_or_default();
    let leader = app.cluster.transfer_leader(to.as_deref()).await?;
    Ok(Json(Transferred { leader }))
}

/// Makes a place for another master: what `POST /cluster/join` does with a body.
pub(super) async fn add(app: &AppState, wanted: AddMember) -> Result<Response, ApiError> {
    let name = NodeId::try_new(wanted.name).map_err(|error| ApiError::invalid(error.to_string()))?;
    if !is_address(&wanted.address) {
        return Err(ApiError::invalid(format!(
            "the address {:?} is not HOST:PORT: give the private listener of {name}, as in 10.0.0.4:9000",
            wanted.address
        )));
    }
    let member: StoreMember = app.cluster.add(&name, &wanted.address).await?;
    Ok((
        StatusCode::CREATED,
        [(LOCATION, format!("/cluster/members/{name}"))],
        Json(member),
    )
        .into_response())
}

/// A JSON object as body, or none.
pub(super) async fn optional<T: DeserializeOwned>(body: Body) -> Result<Option<T>, ApiError> {
    let body: Bytes = read_body(body, MAX_BODY).await?;
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(ApiError::invalid("the body must be a JSON object"));
    }
    let parsed = serde_json::from_slice(&body);
    parsed
        .map(Some)
        .map_err(|error| ApiError::invalid(format!("the body is not what is expected here: {error}")))
}

fn is_address(text: &str) -> bool {
    let port = |port: &str| port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    let of_host = |character: char| character.is_ascii_alphanumeric() || ".-_[]:".contains(character);
    text.rsplit_once(':')
        .is_some_and(|(host, number)| !host.is_empty() && host.chars().all(of_host) && port(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port_and_nothing_else() {
        for right in ["a:1", "10.0.0.4:9000", "master-4.internal:65535", "[::1]:9000"] {
            assert!(is_address(right), "{right}");
        }
        for wrong in [
            "",
            "a",
            ":9000",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "http://a:1",
            "a/b:1",
            "a b:1",
            "user@a:1",
            "a=b:1",
        ] {
            assert!(!is_address(wrong), "{wrong}");
        }
    }
}
