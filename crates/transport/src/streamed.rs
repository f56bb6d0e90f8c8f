//! Bodies of answers that are read while they are sent.

use axum::BoxError;
use axum::body::{Body, Bytes};
use futures::{Stream, TryStreamExt};

/// A body that breaks off with the first error, after the head of its answer has left. Without a head, this would be a node that does not
/// answer: its caller tries again, and opens the circuit breaker of a healthy peer for one broken file.
pub fn streamed<T, E>(content: impl Stream<Item = Result<T, E>> + Send + 'static) -> Body
where
    T: Into<Bytes> + Send + 'static,
    E: Into<BoxError> + Send + 'static,
{
    Body::from_stream(content.or_else(async |error| {
        // The server sends what it has whenever a body is not ready.
        tokio::task::yield_now().await;
        Err(error)
    }))
}
