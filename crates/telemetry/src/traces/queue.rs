//! Ended spans on their way out.

use std::time::Duration;

use prometheus::{IntCounter, Registry};
use tokio::sync::mpsc;

use super::Span;
use crate::Metrics;

/// What became of spans.
#[derive(Debug, Clone)]
pub struct SpanCounts {
    exported: IntCounter,
    dropped: IntCounter,
}

impl SpanCounts {
    /// Registers them.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        let help = "Spans of traces: exported to the collector, or dropped because it took none, or not so many.";
        let spans = Metrics::new(registry).counters("trace_spans_total", help, &["outcome"]);
        Self {
            exported: spans.with_label_values(&["exported"]),
            dropped: spans.with_label_values(&["dropped"]),
        }
    }

    /// So many were taken.
    pub fn exported(&self, spans: usize) {
        self.exported.inc_by(spans as u64);
    }

    /// So many are lost.
    pub fn dropped(&self, spans: usize) {
        self.dropped.inc_by(spans as u64);
    }
}

/// Where the spans of a tracer come out.
#[derive(Debug)]
pub struct SpanQueue {
    waiting: mpsc::Receiver<Span>,
    /// Of the next batch.
    held: Vec<Span>,
    /// To count with.
    pub counts: SpanCounts,
}

impl SpanQueue {
    /// Spans that may wait; about a kilobyte each.
    pub const LIMIT: usize = 4096;

    pub(super) fn new(counts: SpanCounts) -> (mpsc::Sender<Span>, Self) {
        let (sender, waiting) = mpsc::channel(Self::LIMIT);
        let held = Vec::new();
        (sender, Self { waiting, held, counts })
    }

    /// Waits for a span, and then for more: until there are `most`, or no longer than `patience`. Empty when there will be no more.
    /// Dropped half-way, it keeps what it has for the next time.
    pub async fn next(&mut self, most: usize, patience: Duration) -> Vec<Span> {
        if self.held.is_empty() && self.waiting.recv_many(&mut self.held, most).await == 0 {
            return Vec::new();
        }
        let filling = async {
            while self.held.len() < most {
                let room = most - self.held.len();
                if self.waiting.recv_many(&mut self.held, room).await == 0 {
                    break;
                }
            }
        };
        tokio::time::timeout(patience, filling).await.ok();
        std::mem::take(&mut self.held)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len() + self.held.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
