//! One request in its layers. What stands in which order, and why, is said at [`Layers::around`].

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use api::{ErrorCode, headers};
use axum::extract::{MatchedPath, Request};
use axum::http::HeaderName;
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use axum::routing::future::RouteFuture;
use telemetry::traces::ActiveSpan;
use tokio::time::Sleep;
use tower::Service;
use tracing::{debug, error};

use super::Layers;
use super::gate::Escort;
use super::metrics::RouteFigures;
use super::traced;
use crate::current::{Asked, Current};
use crate::upload::leave_unread;
use crate::{ApiError, RequestId};

const REQUEST_ID: HeaderName = HeaderName::from_static(headers::REQUEST_ID);

/// A route in its layers.
#[derive(Debug, Clone)]
pub(super) struct Layered {
    layers: Arc<Layers>,
    figures: Arc<RouteFigures>,
    route: Route,
}

impl Layered {
    pub(super) fn new(layers: Arc<Layers>, route: Route) -> Self {
        let figures = Arc::default();
        Self { layers, figures, route }
    }
}

impl Service<Request> for Layered {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Answering {
        let started = Instant::now();
        let id = RequestId::accept(request.headers().get(REQUEST_ID));
        let method = request.method().clone();
        let path = request.extensions().get::<MatchedPath>().cloned();
        let asked = Asked::new(method, path);
        let (trace, span) = traced::begin(&self.layers, &request, &id, &asked);
        let current = Current {
            id,
            asked: Some(asked),
            trace,
        };
        let timeout = self.layers.timeout(&request);
        self.layers.begin();
        let mut answering = Answering {
            layers: Arc::clone(&self.layers),
            figures: Arc::clone(&self.figures),
            started,
            current: Some(current),
            timeout,
            deadline: None,
            escort: None,
            span,
            stage: Stage::Over,
        };
        // As the request, so that what a gate logs carries its identity.
        let layers = Arc::clone(&self.layers);
        let admission = answering.within(|_| layers.admit(&mut request));
        answering.escort = admission.escort;
        answering.stage = answering.within(|_| match admission.refusal {
            None => Stage::Handled(self.route.call(request)),
            Some(refusal) => {
                leave_unread(request.into_body());
                Stage::Refused(Some(refusal.into_response()))
            }
        });
        answering
    }
}

/// A request being answered.
pub(super) struct Answering {
    layers: Arc<Layers>,
    figures: Arc<RouteFigures>,
    started: Instant,
    /// Always there, but for the moments in which the handler has it.
    current: Option<Current>,
    timeout: Duration,
    /// Made when the handler first waits: many do not.
    deadline: Option<Pin<Box<Sleep>>>,
    escort: Option<Box<dyn Escort>>,
    /// When it is recorded; dropped with a request that nobody waits for any more.
    span: Option<ActiveSpan>,
    stage: Stage,
}

enum Stage {
    Handled(RouteFuture<Infallible>),
    Refused(Option<Response>),
    Over,
}

impl Answering {
    /// Does something as the request: log lines and errors carry its identity.
    fn within<T>(&mut self, work: impl FnOnce(&mut Stage) -> T) -> T {
        Current::lend(&mut self.current, || work(&mut self.stage))
    }

    fn poll_response(&mut self, context: &mut Context<'_>) -> Poll<Response> {
        let polled = self.within(|stage| match stage {
            Stage::Handled(handling) => match catch_unwind(AssertUnwindSafe(|| Pin::new(handling).poll(context))) {
                Ok(polled) => polled.map(|Ok(response)| response),
                Err(_) => Poll::Ready(panicked()),
            },
            Stage::Refused(response) => response.take().map_or(Poll::Pending, Poll::Ready),
            Stage::Over => Poll::Pending,
        });
        if polled.is_ready() {
            return polled;
        }
        let (started, timeout) = (self.started, self.timeout);
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until((started + timeout).into())));
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(self.within(|stage| {
            // The handler ends here, and sees that it does.
            *stage = Stage::Over;
            let detail = format!("no answer within {timeout:?}; the request may or may not have been executed");
            ApiError::new(ErrorCode::Timeout, detail).into_response()
        }))
    }
}

fn panicked() -> Response {
    error!("a handler panicked");
    let detail = "something broke on our side; the log has more under this request id";
    ApiError::new(ErrorCode::Internal, detail).into_response()
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(self.poll_response(context));
        let (took, status) = (self.started.elapsed(), response.status());
        if let Some(mut escort) = self.escort.take() {
            self.within(|_| escort.leave(&mut response));
        }
        self.within(|_| debug!(status = status.as_u16(), elapsed = ?took, "answered"));
        if let Some(span) = self.span.take() {
            traced::end(&self.layers, span, status);
        }
        if let Some(Current {
            id, asked: Some(asked), ..
        }) = self.current.take()
        {
            self.figures.answered(&self.layers.metrics, &asked, status, took);
            response.headers_mut().insert(REQUEST_ID, id.into_header());
        }
        Poll::Ready(Ok(response))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.layers.end();
    }
}
