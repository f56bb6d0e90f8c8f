//! `POST /cache/_batch`: many operations in one request.

use std::sync::Arc;

use api::batch::{BatchOp, BatchRequest, BatchResponse, BatchResult};
use api::cache::{Condition, Entry, Lifetime};
use api::{ErrorCode, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use cache::front::{Action, Answer, Cache, Failure, Operation, Outcome, Write};
use serde::Deserialize;
use transport::{ApiError, ApiJson, ApiQuery};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cache_entry::{entry, from_text, incr_failure};
use super::lifetime::lifetime_of_seconds;
use super::params::{Scope, failure};
use super::who::Who;
use super::{AppState, params};

/// Most operations of one batch.
const MAX_OPERATIONS: usize = 1000;
/// Operations carried out at once: what they read is held in memory before it is known how much it is.
const STEP: usize = 128;
/// Once the values of an answer have so many bytes, the operations that remain are not carried out.
const MAX_ANSWER_BYTES: usize = 32 << 20;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(batch))
}

/// Parameters of a batch.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Namespace, instead of the header `X-Namespace`; `*`: each operation names its own.
    ns: Option<String>,
}

/// What is known of an operation beside its outcome.
struct Asked {
    key: String,
    written: Lifetime,
    is_incr: bool,
}

/// Many operations at once; each succeeds or fails alone, those of one key are applied in order. When the values read have
/// 32 MiB, the operations that remain are not carried out and have status 413: send them in another batch.
#[utoipa::path(post, operation_id = "cache_batch", path = "/cache/_batch", tag = "cache", params(Options), request_body = BatchRequest,
    responses((status = 200, body = BatchResponse), (status = 400, body = Problem)))]
async fn batch(
    State(app): State<AppState>,
    who: Who,
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
    let scope = params::scope(options.ns.as_deref(), &headers)?;
    let mut asked = Vec::with_capacity(request.ops.len());
    let mut operations = Vec::with_capacity(request.ops.len());
    for op in request.ops {
        let operation = parse(op, &scope, app.max_value_bytes)?;
        asked.push(Asked {
            key: operation.key.as_str().to_owned(),
            written: written(&operation.action),
            is_incr: matches!(operation.action, Action::Incr { .. }),
        });
        operations.push(operation);
    }
    if operations.iter().any(|operation| !matches!(operation.action, Action::Get)) {
        who.check_scope(access::Resource::Cache, access::Action::Write, &scope)?;
    }
    let answers = carry_out(&app.cache, operations).await;
    let results = asked.into_iter().zip(answers);
    Ok(Json(BatchResponse {
        results: results.map(|(asked, answer)| result(asked, answer)).collect(),
    }))
}

/// Carries out operations in their order, until the answer is large enough.
async fn carry_out(cache: &Cache, mut operations: Vec<Operation>) -> Vec<Result<Answer, Failure>> {
    if operations.len() <= STEP {
        return cache.execute_all(operations).await;
    }
    let mut answers = Vec::with_capacity(operations.len());
    let mut bytes = 0;
    while !operations.is_empty() {
        let rest = operations.split_off(operations.len().min(STEP));
        let step = std::mem::replace(&mut operations, rest);
        if bytes > MAX_ANSWER_BYTES {
            answers.extend(step.iter().map(|_| Err(full())));
            continue;
        }
        let answered = cache.execute_all(step).await;
        bytes += answered.iter().map(weight).sum::<usize>();
        answers.extend(answered);
    }
    answers
}

fn weight(answer: &Result<Answer, Failure>) -> usize {
    match answer {
        Ok(Answer {
            outcome: Outcome::Hit(found),
            ..
        }) => found.value.len(),
        _ => 0,
    }
}

fn full() -> Failure {
    Failure {
        code: ErrorCode::TooLarge,
        detail: "not executed: the answer is full; send this operation in another batch".to_owned(),
    }
}

fn parse(op: BatchOp, scope: &Scope, max_value_bytes: usize) -> Result<Operation, ApiError> {
    let (key, ns, action) = match op {
        BatchOp::Get { key, ns } => (key, ns, Action::Get),
        BatchOp::Incr { key, ns, by } => (key, ns, Action::Incr { by }),
        BatchOp::Delete { key, ns } => {
            let condition = Condition::None;
            (key, ns, Action::Delete { condition })
        }
        BatchOp::Touch { key, ns, ttl, stale } => {
            let lifetime = lifetime_of_seconds(Some(ttl), stale)?;
            let condition = Condition::None;
            (key, ns, Action::Touch { lifetime, condition })
        }
        BatchOp::Put {
            key,
            ns,
            value,
            encoding,
            ttl,
            stale,
        } => {
            let value = from_text(value, encoding)?;
            params::value_of(key.as_str(), value.len(), max_value_bytes)?;
            let lifetime = lifetime_of_seconds(ttl, stale)?;
            (
                key,
                ns,
                Action::Put(Write::new(value, String::new(), lifetime, Condition::None)),
            )
        }
    };
    Ok(Operation {
        namespace: namespace_of(ns.as_deref(), scope)?,
        key,
        action,
    })
}

/// An operation may name its namespace, but reaches no further than the request.
fn namespace_of(named: Option<&str>, scope: &Scope) -> Result<Arc<str>, ApiError> {
    let named = named.map(params::checked_namespace).transpose()?;
    match (scope, named) {
        (Scope::All, named) => Ok(named.unwrap_or_default()),
        (Scope::One(own), None) => Ok(Arc::clone(own)),
        (Scope::One(own), Some(named)) if named == *own => Ok(named),
        (Scope::One(own), Some(named)) => Err(ApiError::invalid(format!(
            "an operation names the namespace {named:?} in a batch of {own:?}: send it in a batch with ns={named}, or all in one with ns=*"
        ))),
    }
}

fn written(action: &Action) -> Lifetime {
    match action {
        Action::Put(write) => write.lifetime,
        Action::Touch { lifetime, .. } => *lifetime,
        _ => Lifetime::default(),
    }
}

fn result(asked: Asked, answer: Result<Answer, Failure>) -> BatchResult {
    let Asked { key, written, is_incr } = asked;
    let answer = answer.map_err(if is_incr { incr_failure } else { failure });
    let created = answer
        .as_ref()
        .is_ok_and(|answer| matches!(answer.outcome, Outcome::Stored { created: true, .. }));
    match answer.and_then(|answer| entry(key, answer, written)) {
        Ok(entry) => done(if created { 201 } else { 200 }, entry),
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

const fn done(status: u16, entry: Entry) -> BatchResult {
    BatchResult {
        status,
        entry: Some(entry),
        error: None,
    }
}
