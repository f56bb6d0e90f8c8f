//! `POST /internal/v1/cache/batch`: a frame in, a frame out.

use std::sync::Arc;

use api::cache::FRAME_CONTENT_TYPE;
use api::{Epoch, ErrorCode, headers};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use transport::{ApiError, read_body};

use crate::app::App;
use crate::app::batch::{Addressee, BatchError};

pub(super) async fn batch(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Response, ApiError> {
    let to = Addressee {
        boot_id: parse(&headers, headers::BOOT_ID)?,
        epoch: Epoch(parse(&headers, headers::RING_EPOCH)?),
    };
    let frame = read_body(body, app.max_frame_bytes).await?;
    let reply = app.batches.execute(to, &frame).await.map_err(|error| refusal(&error))?;
    Ok(([(CONTENT_TYPE, FRAME_CONTENT_TYPE)], reply).into_response())
}

fn parse<T: std::str::FromStr>(headers: &HeaderMap, name: &'static str) -> Result<T, ApiError> {
    let value = headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok());
    value.ok_or_else(|| ApiError::invalid(format!("the header {name} is missing or malformed")))
}

fn refusal(error: &BatchError) -> ApiError {
    match error {
        BatchError::OtherLife { .. } | BatchError::OtherEpoch { .. } => ApiError::new(ErrorCode::Conflict, error.to_string()),
        BatchError::Malformed(source) => ApiError::invalid(format!("{error}: {source}")),
        BatchError::Unwritable(_) => ApiError::internal(error),
    }
}
