//! `POST /cache/_batch`: many operations in one request.

use api::Problem;
use api::cache::{BatchOp, BatchRequest, BatchResponse, BatchResult, Condition};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use std::sync::Arc;
use transport::{ApiError, ApiJson, ApiQuery};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cache_entry::{entry, from_text};
use super::{AppState, params};
use crate::app::cache::{Action, Answer, Failure, Operation, Outcome};

/// Most operations of one batch.
const MAX_OPERATIONS: usize = 1000;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(batch))
}

/// Parameters of a batch.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Namespace, instead of the header `X-Namespace`.
    ns: Option<String>,
}

/// Many operations at once; each succeeds or fails alone, those of one key are applied in order.
#[utoipa::path(post, operation_id = "cache_batch", path = "/cache/_batch", tag = "cache", params(Options), request_body = BatchRequest,
    responses((status = 200, body = BatchResponse), (status = 400, body = Problem)))]
async fn batch(
    State(app): State<AppState>,
    ApiQuery(options): ApiQuery<Options>,
    headers: HeaderMap,
    ApiJson(request): ApiJson<BatchRequest>,
) -> Result<Json<BatchResponse>, ApiError> {
    if request.ops.len() > MAX_OPERATIONS {
        return Err(ApiError::invalid(format!(
            "the batch has {} operations; at most {MAX_OPERATIONS} are allowed",
            request.ops.len()
        )));
    }
    let namespace = params::namespace(options.ns.as_deref(), &headers)?;
    let operations = request
        .ops
        .into_iter()
        .map(|op| parse(op, &namespace, app.max_value_bytes))
        .collect::<Result<Vec<_>, _>>()?;
    let asked: Vec<_> = operations
        .iter()
        .map(|operation| (operation.key.to_string(), expiry(&operation.action)))
        .collect();
    let answers = app.cache.execute_all(operations).await;
    let results = asked
        .into_iter()
        .zip(answers)
        .map(|((key, until), answer)| result(key, until, answer))
        .collect();
    Ok(Json(BatchResponse { results }))
}

fn parse(op: BatchOp, namespace: &Arc<str>, max_value_bytes: usize) -> Result<Operation, ApiError> {
    let (key, action) = match op {
        BatchOp::Get { key } => (key, Action::Get),
        BatchOp::Delete { key } => (
            key,
            Action::Delete {
                condition: Condition::None,
            },
        ),
        BatchOp::Put {
            key,
            value,
            encoding,
            ttl,
        } => {
            let value = from_text(value, encoding)?;
            if value.len() > max_value_bytes {
                let detail = format!(
                    "the value of {key} has {} bytes; at most {max_value_bytes} are allowed",
                    value.len()
                );
                return Err(ApiError::new(api::ErrorCode::TooLarge, detail));
            }
            let ttl = ttl.map(|seconds| params::ttl(&seconds.to_string())).transpose()?;
            let expires_at_ms = params::expires_at_ms(ttl);
            (
                key,
                Action::Put {
                    value,
                    content_type: String::new(),
                    expires_at_ms,
                    condition: Condition::None,
                },
            )
        }
    };
    Ok(Operation {
        namespace: Arc::clone(namespace),
        key,
        action,
    })
}

fn expiry(action: &Action) -> u64 {
    if let Action::Put { expires_at_ms, .. } = action {
        *expires_at_ms
    } else {
        0
    }
}

fn result(key: String, written_until_ms: u64, answer: Result<Answer, Failure>) -> BatchResult {
    let created = matches!(
        &answer,
        Ok(Answer {
            outcome: Outcome::Stored { created: true, .. },
            ..
        })
    );
    match answer
        .map_err(ApiError::from)
        .and_then(|answer| entry(key, answer, written_until_ms))
    {
        Ok(entry) => BatchResult {
            status: if created { 201 } else { 200 },
            entry: Some(entry),
            error: None,
        },
        Err(error) => {
            let problem = error.problem();
            BatchResult {
                status: problem.status,
                entry: None,
                error: Some(problem),
            }
        }
    }
}
