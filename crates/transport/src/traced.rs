//! A traced request, taken along to where it cannot be followed by itself.

use axum::http::HeaderValue;
use telemetry::traces::TraceContext;

use crate::RequestId;
use crate::current::Current;

/// The request that code works for, when its trace is recorded: for queues and tasks that go on with its work. There is none, and nothing to
/// be paid, for all others.
#[derive(Debug, Clone)]
pub struct Traced {
    id: RequestId,
    context: TraceContext,
}

impl Traced {
    /// That of the code that asks.
    #[must_use]
    pub fn current() -> Option<Self> {
        Current::look(|current| {
            let context = current.trace.filter(|trace| trace.is_sampled())?;
            let id = current.id.clone();
            Some(Self { id, context })
        })?
    }

    /// Work for a trace of which nothing but this is known; its request is called as the trace is.
    #[must_use]
    pub fn of(context: TraceContext) -> Self {
        let id = HeaderValue::try_from(context.trace_text()).ok();
        Self {
            id: RequestId::accept(id.as_ref()),
            context,
        }
    }

    /// Its place in the trace.
    #[must_use]
    pub const fn context(&self) -> TraceContext {
        self.context
    }

    /// Runs a future as that request.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        let Self { id, context } = self;
        let current = Current {
            id,
            asked: None,
            trace: Some(context),
        };
        current.scope(future).await
    }

    /// Runs a future as that request, if there is one.
    pub async fn scope_of<F: Future>(traced: Option<Self>, future: F) -> F::Output {
        match traced {
            Some(traced) => traced.scope(future).await,
            None => future.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_recorded_traces_are_taken_along() {
        assert!(Traced::current().is_none());
        let context = TraceContext::begin([7; 16], true);
        let seen = Traced::of(context).scope(async { Traced::current() }).await.unwrap();
        assert_eq!(seen.context(), context);
        assert_eq!(seen.id.to_string(), "07".repeat(16));
        let quiet = Traced::of(context.with_sampled(false));
        assert!(quiet.scope(async { Traced::current() }).await.is_none());
        assert!(Traced::scope_of(None, async { RequestId::current() }).await.is_none());
    }
}
