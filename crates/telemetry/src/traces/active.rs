//! A span that has not ended yet.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use super::tracer::Inner;
use super::{Span, TraceContext, Value};

/// What is being done for a request. When it is dropped before it was said to have ended, it was given up half-way, and its span says so.
#[derive(Debug)]
pub struct ActiveSpan {
    tracer: Arc<Inner>,
    /// By a clock that nobody sets.
    began: Instant,
    /// There until the end.
    span: Option<Box<Span>>,
}

impl ActiveSpan {
    pub(super) fn new(tracer: &Arc<Inner>, span: Span) -> Self {
        Self {
            tracer: Arc::clone(tracer),
            began: Instant::now(),
            span: Some(Box::new(span)),
        }
    }

    /// What is handed on with calls that are made for it; none after its end.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        self.span.as_ref().map(|span| span.context)
    }

    /// Adds what is known of it.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.span {
            span.set(name, value);
        }
    }

    /// Calls it something else.
    pub fn rename(&mut self, name: impl Into<Cow<'static, str>>) {
        if let Some(span) = &mut self.span {
            span.name = name.into();
        }
    }

    /// It failed, and why in a word: never what the error says, for that may tell what only its owner may know.
    pub fn fail(&mut self, why: impl Into<Cow<'static, str>>) {
        if let Some(span) = &mut self.span {
            span.error = Some(why.into());
        }
    }

    /// It ends now.
    pub fn end(mut self) {
        self.hand_in();
    }

    /// It is nobody's concern.
    pub fn forget(mut self) {
        self.span = None;
    }

    fn hand_in(&mut self) {
        if let Some(mut span) = self.span.take() {
            span.ended = span.began + self.began.elapsed();
            self.tracer.take(*span);
        }
    }
}

impl Drop for ActiveSpan {
    fn drop(&mut self) {
        if self.span.is_some() {
            self.fail("cancelled");
            self.hand_in();
        }
    }
}
