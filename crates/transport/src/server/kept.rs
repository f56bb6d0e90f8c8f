//! Bodies that keep something for as long as they are being sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};

/// A body, and what is dropped when all of it has been handed over, or nobody wants it any more.
pub(super) struct Kept<T> {
    body: Body,
    _kept: T,
}

impl<T> Kept<T> {
    pub(super) const fn new(body: Body, kept: T) -> Self {
        Self { body, _kept: kept }
    }
}

/// Has an answer keep something until the last byte of its body has been handed over, or its client is gone.
pub fn keep(response: &mut Response, kept: impl Send + Unpin + 'static) {
    if !response.body().is_end_stream() {
        let body = std::mem::take(response.body_mut());
        *response.body_mut() = Body::new(Kept::new(body, kept));
    }
}

impl<T: Unpin> HttpBody for Kept<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
