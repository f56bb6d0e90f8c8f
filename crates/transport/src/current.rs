//! The request that the code running on this thread works for: errors, log lines and calls to peers carry its identity.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;

use axum::extract::MatchedPath;
use axum::http::Method;
use telemetry::traces::TraceContext;

use crate::RequestId;

thread_local! {
    /// That of the future being polled.
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
}

/// A request, and what was asked if it came over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    pub(crate) id: RequestId,
    pub(crate) asked: Option<Asked>,
    /// Its place in its trace, if it has one.
    pub(crate) trace: Option<TraceContext>,
}

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    path: Option<MatchedPath>,
}

impl Asked {
    pub(crate) fn new(method: Method, path: Option<MatchedPath>) -> Self {
        Self { method, path }
    }

    /// The route, if there is one for what was asked.
    pub(crate) fn matched(&self) -> Option<&str> {
        self.path.as_ref().map(MatchedPath::as_str)
    }

    /// The route, which has a bounded number of values; the path has not.
    pub(crate) fn route(&self) -> &str {
        self.matched().unwrap_or("unmatched")
    }
}

impl Current {
    /// Runs a future as this request.
    pub(crate) async fn scope<F: Future>(self, future: F) -> F::Output {
        let mut current = Some(self);
        let mut future = pin!(future);
        poll_fn(|context| Self::lend(&mut current, || future.as_mut().poll(context))).await
    }

    /// Does something for the request in `slot`, which is there again afterwards.
    pub(crate) fn lend<T>(slot: &mut Option<Self>, work: impl FnOnce() -> T) -> T {
        /// Puts back what was current before, which `lend` has put where the request was; also when the work panics.
        struct Restore<'a>(&'a mut Option<Current>);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                *self.0 = CURRENT.replace(self.0.take());
            }
        }
        *slot = CURRENT.replace(slot.take());
        let _restore = Restore(slot);
        work()
    }

    /// What there is to say of the current request, if there is one.
    pub(crate) fn look<T>(say: impl FnOnce(&Self) -> T) -> Option<T> {
        let current = CURRENT.take();
        let said = current.as_ref().map(say);
        CURRENT.set(current);
        said
    }

    /// For [`telemetry::set_log_context`].
    pub(crate) fn log_context() -> Vec<(&'static str, String)> {
        let said = Self::look(|current| {
            let mut context = vec![("request_id", current.id.to_string())];
            if let Some(asked) = &current.asked {
                context.push(("method", asked.method.to_string()));
                context.push(("route", asked.route().to_owned()));
            }
            if let Some(trace) = current.trace.filter(|trace| trace.is_sampled()) {
                context.push(("trace_id", trace.trace_text()));
                context.push(("span_id", trace.span_text()));
            }
            context
        });
        said.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn scopes_nest_and_end_also_when_their_work_panics() {
        let (outer, inner) = (RequestId::generate(), RequestId::generate());
        let (in_outer, in_inner) = (Some(outer.clone()), Some(inner.clone()));
        outer
            .scope(async {
                inner
                    .scope(async {
                        tokio::task::yield_now().await;
                        assert_eq!(RequestId::current(), in_inner);
                    })
                    .await;
                let panicked = std::panic::catch_unwind(|| Current::lend(&mut None, || panic!("on purpose")));
                assert!(panicked.is_err());
                assert_eq!(RequestId::current(), in_outer);
            })
            .await;
        assert_eq!(RequestId::current(), None);
    }

    #[test]
    fn log_lines_tell_request_method_and_route() {
        assert_eq!(Current::log_context(), []);
        let id = RequestId::generate();
        let mut current = Current {
            id: id.clone(),
            asked: Some(Asked::new(Method::PUT, None)),
            trace: Some(TraceContext::begin([1; 16], false)),
        };
        let told = |current: &Current| Current::lend(&mut Some(current.clone()), Current::log_context);
        let mut expected = vec![
            ("request_id", id.to_string()),
            ("method", "PUT".into()),
            ("route", "unmatched".into()),
        ];
        assert_eq!(told(&current), expected, "nobody finds a trace that is not recorded");
        let trace = TraceContext::begin([1; 16], true);
        current.trace = Some(trace);
        expected.push(("trace_id", "01".repeat(16)));
        expected.push(("span_id", trace.span_text()));
        assert_eq!(told(&current), expected);
    }
}
