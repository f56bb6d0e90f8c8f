//! Extractors whose refusals are problems, like every other error.

use api::ErrorCode;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Json, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::ApiError;

/// A JSON object as body; malformed, unknown fields, wrong content type and too large are told apart. An array is refused:
/// serde would take it for a struct written without names.
#[derive(Debug, Clone, Copy)]
pub struct ApiJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(
                ApiError::invalid("the body must be JSON: send Content-Type: application/json")
                    .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            );
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            let code = match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge,
                _ => ErrorCode::InvalidArgument,
            };
            ApiError::new(code, rejection.body_text())
        })?;
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(ApiError::invalid("the body must be a JSON object"));
        }
        let parsed = Json::from_bytes(&body);
        parsed
            .map(|Json(value)| Self(value))
            .map_err(|error| ApiError::invalid(error.body_text()))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// Query parameters; each at most once, percent-encoded UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct ApiQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        check_encoding("query", parts.uri.query().unwrap_or_default())?;
        let parsed = Query::from_request_parts(parts, state).await;
        parsed
            .map(|Query(value)| Self(value))
            .map_err(|error: QueryRejection| ApiError::invalid(error.body_text()))
    }
}

/// Path parameters; percent-encoded UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct ApiPath<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        check_encoding("path", parts.uri.path())?;
        let parsed = Path::from_request_parts(parts, state).await;
        parsed
            .map(|Path(value)| Self(value))
            .map_err(|error: PathRejection| ApiError::invalid(error.body_text()))
    }
}

/// Decoders take `%zz` as it stands and make U+FFFD of what is no UTF-8, so that two different wrong keys become one.
fn check_encoding(what: &str, encoded: &str) -> Result<(), ApiError> {
    if !encoded.contains('%') {
        return Ok(());
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(ApiError::invalid(format!(
                "the {what} is not percent-encoded: two hexadecimal digits must follow each %"
            )));
        };
        // Two digits fit into a byte.
        decoded.push((high << 4 | low) as u8);
    }
    match std::str::from_utf8(&decoded) {
        Ok(_) => Ok(()),
        Err(_) => Err(ApiError::invalid(format!(
            "the {what} is not valid UTF-8 after percent-decoding"
        ))),
    }
}

/// A whole body of at most `limit` bytes.
///
/// # Errors
/// `too_large` over the limit, `invalid_argument` when the client stops half-way.
pub async fn read_body(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    to_bytes(body, limit).await.map_err(|error| {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if inner.to_string().contains("length limit exceeded") {
                return ApiError::new(
                    ErrorCode::TooLarge,
                    format!("the body is larger than {limit} bytes, the limit here"),
                );
            }
            cause = inner.source();
        }
        ApiError::invalid("the body ended before it was whole; send it again")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_escapes_of_utf8_pass() {
        for right in ["", "plain", "caf%C3%A9+noir&x=%00", "%25zz"] {
            assert_eq!(check_encoding("query", right), Ok(()), "{right}");
        }
        for wrong in ["%", "a%4", "%zz", "%+1", "%FF", "a%C3%28", "%C3&x=%A9"] {
            assert!(check_encoding("query", wrong).is_err(), "{wrong}");
        }
    }
}
