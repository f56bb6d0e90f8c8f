//! Work in the trace of its job.

use api::task::{Outcome, WorkId};
use telemetry::traces::{ActiveSpan, Kind, TraceContext, Tracer};
use transport::Traced;

use super::label;

/// A piece of work: each attempt is one span, on the worker that makes it.
pub(super) struct Work {
    span: Option<ActiveSpan>,
    context: Option<TraceContext>,
}

impl Work {
    /// Begins; `job` is the `traceparent` of the job, if that is traced.
    pub(super) fn begin(tracer: &Tracer, job: Option<&String>, work: &WorkId) -> Self {
        let job = job.and_then(|job| TraceContext::parse(job.as_bytes()));
        let name = match work {
            WorkId::Plan(..) => "plan",
            WorkId::Task(_) => "task",
        };
        let mut span = tracer.follow(job, Kind::Internal, name);
        if let Some(span) = &mut span {
            span.set("elasticore.job.id", work.job().to_string());
            match work {
                WorkId::Plan(_, attempt) => span.set("elasticore.task.attempt", *attempt),
                WorkId::Task(task) => {
                    span.set("elasticore.task.stage", task.stage);
                    span.set("elasticore.task.partition", task.partition);
                    span.set("elasticore.task.attempt", task.attempt);
                }
            }
        }
        let context = span.as_ref().and_then(ActiveSpan::context).or(job);
        Self { span, context }
    }

    /// As what it calls others.
    pub(super) fn request(&self) -> Option<Traced> {
        self.context.filter(|context| context.is_sampled()).map(Traced::of)
    }

    /// It ended. What an error says stays with the job: it may quote the user's query, or data.
    pub(super) fn end(self, outcome: &Outcome, cancelled: bool) {
        let Some(mut span) = self.span else { return };
        let result = if cancelled { "cancelled" } else { label(outcome) };
        span.set("elasticore.task.outcome", result);
        match outcome {
            Outcome::Done(output) => {
                span.set("elasticore.task.rows", output.rows);
                span.set("elasticore.task.bytes", output.bytes);
            }
            Outcome::Planned(graph) => span.set("elasticore.job.stages", graph.stages.len() as u64),
            Outcome::Failed(_) => span.fail(result),
        }
        span.end();
    }
}
