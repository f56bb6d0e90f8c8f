//! A request's place in its trace, and its span.

use api::headers;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use telemetry::traces::{ActiveSpan, Kind, TraceContext};

use super::Layers;
use crate::RequestId;
use crate::current::Asked;

const TRACEPARENT: HeaderName = HeaderName::from_static(headers::TRACEPARENT);
/// What probes and scrapes ask, all the time: no trace begins with them.
const PROBES: [&str; 3] = ["/health", "/ready", "/metrics"];

/// What the request carries, or what begins with it. Between nodes nothing begins: what they ask of each other in the background would
/// drown what clients ask.
pub(super) fn begin(
    layers: &Layers,
    request: &Request,
    id: &RequestId,
    asked: &Asked,
) -> (Option<TraceContext>, Option<ActiveSpan>) {
    let parent = sent(request.headers());
    let tracer = &layers.tracer;
    if !tracer.is_on() {
        return (parent, None);
    }
    let path = request.uri().path();
    let (context, mut span) = if layers.is_private() {
        let span = tracer.follow(parent, Kind::Server, "");
        (span.as_ref().and_then(ActiveSpan::context).or(parent), span)
    } else if parent.is_none() && PROBES.contains(&path) {
        (None, None)
    } else {
        let precious = (layers.precious)(&asked.method, path);
        tracer.enter(parent, || TraceContext::trace_of(id.header().as_bytes()), precious)
    };
    if let Some(span) = &mut span {
        describe(span, asked);
    }
    (context, span)
}

/// The request was answered. Between nodes, who is not one leaves no span: it could fill the queue of those that matter.
pub(super) fn end(layers: &Layers, mut span: ActiveSpan, status: StatusCode) {
    if layers.is_private() && status == StatusCode::UNAUTHORIZED {
        return span.forget();
    }
    span.set("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.fail(status.as_str().to_owned());
    }
    span.end();
}

/// The caller's, if it sent one and only one.
fn sent(headers: &HeaderMap) -> Option<TraceContext> {
    let mut all = headers.get_all(TRACEPARENT).into_iter();
    let first = all.next()?;
    all.next().is_none().then(|| TraceContext::parse(first.as_bytes()))?
}

/// By method and route, of which there are few: never by the path, which has keys in it.
fn describe(span: &mut ActiveSpan, asked: &Asked) {
    let method = method_name(&asked.method);
    span.set("http.request.method", method.unwrap_or("_OTHER"));
    match asked.matched() {
        Some(route) => {
            span.rename(format!("{} {route}", method.unwrap_or("HTTP")));
            span.set("http.route", route.to_owned());
        }
        None => span.rename(method.unwrap_or("HTTP")),
    }
}

fn method_name(method: &Method) -> Option<&'static str> {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    known.into_iter().find(|name| *name == method.as_str())
}
