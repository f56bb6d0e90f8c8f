//! `POST /kv/_txn`: compare several keys, then write several, atomically.

use std::time::Duration;

use api::cache::Encoding;
use api::{Key, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use control::{Compare, Op, OpResult, Txn};
use serde::{Deserialize, Serialize};
use transport::{ApiError, ApiJson, ApiQuery};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::cache_entry::from_text;
use super::kv::{Item, MAX_VALUE_BYTES, Options};
use super::{lifetime, params};
use crate::app::kv::{Keys, Ttls};

/// Most compares and most steps of one transaction, as in etcd.
const MAX_STEPS: usize = 128;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(txn))
}

/// A transaction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Request {
    /// All of these must hold.
    #[serde(default)]
    compare: Vec<Condition>,
    /// Steps when they do.
    #[serde(default)]
    then: Vec<Step>,
    /// Steps when they do not.
    #[serde(default, rename = "else")]
    otherwise: Vec<Step>,
}

/// What must hold for a key: exactly one of `revision`, `value` and `exists`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Condition {
    /// The key.
    key: Key,
    /// It was last written at this revision; 0 means that it is absent.
    revision: Option<u64>,
    /// It holds this text.
    value: Option<String>,
    /// It is there, or it is not.
    exists: Option<bool>,
}

/// A step.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
enum Step {
    /// Read a key.
    Get {
        /// The key.
        key: Key,
    },
    /// Write a key.
    Put {
        /// The key.
        key: Key,
        /// The value as text, or base64 when `encoding` says so.
        value: String,
        /// How `value` is written.
        encoding: Option<Encoding>,
        /// Seconds to live; for ever when absent.
        ttl: Option<u64>,
    },
    /// Remove a key.
    Delete {
        /// The key.
        key: Key,
    },
}

/// How a transaction ended.
#[derive(Debug, Serialize, ToSchema)]
struct Answer {
    /// Whether the compares held.
    succeeded: bool,
    /// Revision of the store afterwards.
    revision: u64,
    /// One per step taken.
    results: Vec<StepResult>,
}

/// How a step ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum StepResult {
    /// What was read, or null.
    Get(Option<Item>),
    /// Written at this revision.
    Put(u64),
    /// Whether there was something to remove.
    Deleted(bool),
}

/// Compare several keys of a namespace, then take one of two lists of steps, atomically.
#[utoipa::path(post, operation_id = "kv_txn", path = "/kv/_txn", tag = "kv", params(Options), request_body = Request,
    responses((status = 200, body = Answer), (status = 400, body = Problem)))]
async fn txn(
    State(app): State<AppState>,
    ApiQuery(options): ApiQuery<Options>,
    headers: HeaderMap,
    ApiJson(request): ApiJson<Request>,
) -> Result<Json<Answer>, ApiError> {
    let keys = app.kv.of(&params::namespace(options.ns.as_deref(), &headers)?);
    let counts = [request.compare.len(), request.then.len(), request.otherwise.len()];
    if counts.iter().any(|count| *count > MAX_STEPS) {
        return Err(ApiError::invalid(format!(
            "a transaction has at most {MAX_STEPS} compares and {MAX_STEPS} steps in each branch"
        )));
    }
    let ttls = Ttls {
        then: ttls(&request.then)?,
        otherwise: ttls(&request.otherwise)?,
    };
    let txn = Txn {
        compares: request
            .compare
            .into_iter()
            .map(|condition| compare(&keys, condition))
            .collect::<Result<_, _>>()?,
        then: steps(&keys, request.then)?,
        otherwise: steps(&keys, request.otherwise)?,
    };
    let answer = keys.txn(txn, ttls).await?;
    let revision = answer.revision;
    let results = answer
        .results
        .into_iter()
        .map(|result| step_result(&keys, result, revision))
        .collect();
    Ok(Json(Answer {
        succeeded: answer.succeeded,
        revision,
        results,
    }))
}

fn compare(keys: &Keys, condition: Condition) -> Result<Compare, ApiError> {
    let key = keys.stored(&condition.key);
    match (condition.revision, condition.value, condition.exists) {
        (Some(0), None, None) | (None, None, Some(false)) => Ok(Compare::Absent(key)),
        (Some(revision), None, None) => Ok(Compare::ModRevision(key, revision)),
        (None, Some(value), None) => Ok(Compare::Value(key, value.into())),
        (None, None, Some(true)) => Ok(Compare::Exists(key)),
        _ => Err(ApiError::invalid(format!(
            "the compare of {} needs exactly one of revision, value and exists",
            condition.key
        ))),
    }
}

fn ttls(steps: &[Step]) -> Result<Vec<(usize, Duration)>, ApiError> {
    let wanted = steps.iter().enumerate().filter_map(|(place, step)| match step {
        Step::Put { ttl: Some(ttl), .. } => Some((place, ttl)),
        _ => None,
    });
    wanted
        .map(|(place, ttl)| Ok((place, lifetime::ttl(&ttl.to_string())?)))
        .collect()
}

fn steps(keys: &Keys, steps: Vec<Step>) -> Result<Vec<Op>, ApiError> {
    steps.into_iter().map(|one| step(keys, one)).collect()
}

fn step(keys: &Keys, step: Step) -> Result<Op, ApiError> {
    Ok(match step {
        Step::Get { key } => Op::Get { key: keys.stored(&key) },
        Step::Delete { key } => Op::Delete { key: keys.stored(&key) },
        Step::Put {
            key, value, encoding, ..
        } => {
            let value = from_text(value, encoding)?;
            if value.len() > MAX_VALUE_BYTES {
                let detail = format!(
                    "the value of {key} has {} bytes; at most {MAX_VALUE_BYTES} are allowed",
                    value.len()
                );
                return Err(ApiError::new(api::ErrorCode::TooLarge, detail));
            }
            Op::Put {
                key: keys.stored(&key),
                value,
                lease: None,
            }
        }
    })
}

fn step_result(keys: &Keys, result: OpResult, revision: u64) -> StepResult {
    match result {
        OpResult::Put => StepResult::Put(revision),
        OpResult::Deleted(count) => StepResult::Deleted(count > 0),
        OpResult::Range(listing) => StepResult::Get(listing.items.into_iter().next().map(|pair| keys.shown(pair).into())),
    }
}
