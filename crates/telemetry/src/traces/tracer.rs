//! Decides which requests are recorded, and takes in their spans.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::queue::{SpanCounts, SpanQueue};
use super::{ActiveSpan, Kind, Sampler, Span, TraceContext};

/// What a node records of traces; clones are one. The default one records nothing.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<Inner>>);

#[derive(Debug)]
pub(super) struct Inner {
    sampler: Sampler,
    queue: mpsc::Sender<Span>,
    counts: SpanCounts,
}

impl Inner {
    /// Never waits: what does not fit is dropped.
    pub(super) fn take(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.counts.dropped(1);
        }
    }
}

impl Tracer {
    /// One that records, and where its spans come out.
    #[must_use]
    pub fn new(sampler: Sampler, counts: SpanCounts) -> (Self, SpanQueue) {
        let (sender, queue) = SpanQueue::new(counts.clone());
        let inner = Inner {
            sampler,
            queue: sender,
            counts,
        };
        (Self((!sampler.is_off()).then(|| Arc::new(inner))), queue)
    }

    /// Whether it records anything.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A request at the public door: its place in its trace, which begins here unless the caller began one, and its span when it is
    /// recorded. `id` says what a new trace is called, if it can; for what is `precious` see [`Sampler`].
    #[must_use]
    pub fn enter(
        &self,
        parent: Option<TraceContext>,
        id: impl FnOnce() -> Option<[u8; 16]>,
        precious: bool,
    ) -> (Option<TraceContext>, Option<ActiveSpan>) {
        let Some(inner) = &self.0 else { return (parent, None) };
        let begun = parent.unwrap_or_else(|| TraceContext::begin(id().unwrap_or_default(), false));
        if !inner.sampler.takes(parent, precious) {
            return (Some(begun.with_sampled(false)), None);
        }
        let context = begun.with_sampled(true).child();
        let span = Span::begin("", Kind::Server, context, parent);
        (Some(context), Some(ActiveSpan::new(inner, span)))
    }

    /// A part of something that is recorded, if it is: what was decided at the public door holds within the cluster.
    #[must_use]
    pub fn follow(&self, parent: Option<TraceContext>, kind: Kind, name: impl Into<Cow<'static, str>>) -> Option<ActiveSpan> {
        let inner = self.0.as_ref()?;
        let parent = parent.filter(|parent| parent.is_sampled())?;
        Some(ActiveSpan::new(inner, Span::begin(name, kind, parent.child(), Some(parent))))
    }

    /// Takes in a span that has ended.
    pub fn record(&self, span: Span) {
        if let Some(inner) = &self.0 {
            inner.take(span);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::new_registry;

    fn tracer(sampler: &str) -> (Tracer, SpanQueue) {
        Tracer::new(Sampler::of(sampler, "").unwrap(), SpanCounts::new(&new_registry()))
    }

    #[tokio::test]
    async fn a_trace_begins_at_the_door_and_is_followed_inside() {
        let (tracer, mut queue) = tracer("parentbased_always_on");
        let (context, span) = tracer.enter(None, || Some([9; 16]), false);
        let context = context.unwrap();
        assert_eq!((context.trace(), context.is_sampled()), ([9; 16], true));
        let mut part = tracer.follow(Some(context), Kind::Client, "part").unwrap();
        assert_ne!(part.context(), Some(context));
        part.set("number", 7_u64);
        part.end();
        drop(span);
        let batch = queue.next(10, Duration::from_millis(1)).await;
        assert_eq!(batch.len(), 2);
        assert_eq!((batch[0].parent, &batch[0].error), (Some(context.span()), &None));
        assert_eq!(batch[1].parent, None);
        assert_eq!(batch[1].error.as_deref(), Some("cancelled"), "it was dropped before its end");
    }

    #[test]
    fn what_is_not_sampled_is_handed_on_as_such() {
        let (tracer, _queue) = tracer("parentbased_always_off");
        let (context, span) = tracer.enter(None, || None, true);
        assert!(span.is_none() && !context.unwrap().is_sampled());
        let sent = TraceContext::begin([1; 16], true);
        let (context, span) = tracer.enter(Some(sent), || None, false);
        assert_eq!(context.unwrap().trace(), sent.trace());
        assert_eq!(span.unwrap().context(), context);
        assert!(tracer.follow(Some(sent.with_sampled(false)), Kind::Server, "x").is_none());
        assert!(tracer.follow(None, Kind::Server, "x").is_none());
    }

    #[test]
    fn without_a_tracer_a_context_passes_as_it_came() {
        let (off, sent) = (Tracer::default(), TraceContext::begin([1; 16], true));
        assert_eq!(off.enter(Some(sent), || None, true).0, Some(sent));
        assert!(off.enter(None, || None, true).0.is_none());
        assert!(off.follow(Some(sent), Kind::Server, "x").is_none());
        assert!(!tracer("always_off").0.is_on());
    }

    #[test]
    fn spans_that_nobody_takes_are_dropped_and_counted() {
        let registry = new_registry();
        let (tracer, queue) = Tracer::new(Sampler::of("always_on", "").unwrap(), SpanCounts::new(&registry));
        for _ in 0..10_000 {
            drop(tracer.enter(None, || None, false));
        }
        let dropped = 10_000 - SpanQueue::LIMIT;
        let line = format!("trace_spans_total{{outcome=\"dropped\"}} {dropped}\n");
        assert!(crate::render(&registry).contains(&line), "{}", crate::render(&registry));
        drop(queue);
    }
}
