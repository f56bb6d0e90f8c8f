//! A job in the trace of the request that submitted it: from its acceptance to its end, however many leaders it has.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::job::JobState;
use jobs::{JobRecord, JobTrace, Millis, NoteKind};
use telemetry::traces::{Event, Kind, Span, TraceContext, Tracer, Value};
use transport::Traced;

use super::metrics;

/// The place of a job that is accepted now, when the request at hand is recorded.
pub(super) fn begin(tracer: &Tracer) -> Option<JobTrace> {
    let request = Traced::current()?.context();
    if !tracer.is_on() {
        // Nobody here would tell of the job's span: its tasks are parts of the request.
        let span = request.to_string();
        return Some(JobTrace { span, parent: None });
    }
    Some(JobTrace {
        span: request.child().to_string(),
        parent: Some(request.to_string()),
    })
}

/// Tells of a job whose end is durable.
pub(super) fn ended(tracer: &Tracer, record: &JobRecord) {
    if tracer.is_on()
        && let Some(span) = span_of(record)
    {
        tracer.record(span);
    }
}

/// No words of the job's own: neither its query nor what went wrong in it.
fn span_of(record: &JobRecord) -> Option<Span> {
    let trace = record.trace.as_ref()?;
    let parent = TraceContext::parse(trace.parent.as_ref()?.as_bytes())?;
    let context = TraceContext::parse(trace.span.as_bytes())?;
    let mut span = Span::begin("job", Kind::Internal, context, Some(parent));
    // Both are of masters, which may be two whose clocks differ.
    let finished = record.finished_at_ms.unwrap_or_default().max(record.submitted_at_ms);
    (span.began, span.ended) = (time(record.submitted_at_ms), time(finished));
    span.set("elasticore.job.id", record.id.to_string());
    span.set("elasticore.job.state", metrics::state_name(record.state));
    let progress = &record.progress;
    span.set("elasticore.job.stages", u64::from(progress.stages.total));
    span.set("elasticore.job.tasks", u64::from(progress.tasks.total));
    span.set("elasticore.job.rows", progress.rows);
    span.set("elasticore.job.bytes", progress.bytes);
    span.set("elasticore.job.run", record.run);
    span.set("elasticore.job.term", record.term);
    if let Some(started) = record.started_at_ms {
        span.set("elasticore.job.queued_ms", started.saturating_sub(record.submitted_at_ms));
    }
    if record.state == JobState::Failed {
        let code = record
            .error
            .as_ref()
            .and_then(|problem| serde_json::to_value(problem.code).ok());
        let code = code.and_then(|code| Some(code.as_str()?.to_owned()));
        span.error = Some(code.unwrap_or_else(|| "internal".to_owned()).into());
    }
    span.events = record.notes.iter().map(event).collect();
    Some(span)
}

fn event(note: &jobs::Note) -> Event {
    let numbers = [
        ("elasticore.task.stage", note.stage),
        ("elasticore.task.partition", note.partition),
        ("elasticore.task.attempt", note.attempt),
    ];
    let mut attributes: Vec<(&'static str, Value)> = numbers
        .into_iter()
        .filter_map(|(name, number)| Some((name, Value::from(number?))))
        .collect();
    attributes.extend(
        note.worker
            .iter()
            .map(|worker| ("elasticore.worker", worker.to_string().into())),
    );
    Event {
        at: time(note.at_ms),
        name: name(note.kind).into(),
        attributes,
    }
}

const fn name(kind: NoteKind) -> &'static str {
    match kind {
        NoteKind::TaskFailed => "task_failed",
        NoteKind::TaskLost => "task_lost",
        NoteKind::InputMissing => "input_missing",
        NoteKind::OutOfMemory => "out_of_memory",
        NoteKind::PlannedAnew => "planned_anew",
        NoteKind::TwinStarted => "twin_started",
        NoteKind::WorkerShunned => "worker_shunned",
        NoteKind::TakenOver => "taken_over",
    }
}

fn time(at: Millis) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(at)
}

#[cfg(test)]
mod tests {
    use api::JobId;
    use api::job::JobSpec;

    use super::*;

    fn spec() -> JobSpec {
        serde_json::from_value(serde_json::json!({ "query": "SELECT secret FROM t" })).unwrap()
    }

    #[tokio::test]
    async fn a_job_is_a_part_of_its_request_and_keeps_its_words_to_itself() {
        let off = Tracer::default();
        assert_eq!(begin(&off), None, "nobody asks");
        let request = TraceContext::begin([5; 16], true);
        let passed_on = Traced::of(request).scope(async { begin(&off) }).await.unwrap();
        assert_eq!((passed_on.span, passed_on.parent), (request.to_string(), None));

        let mut record = JobRecord::new(JobId::new_now(), spec(), 1_000);
        assert!(span_of(&record).is_none(), "it is not traced");
        record.trace = Some(JobTrace {
            span: request.child().to_string(),
            parent: Some(request.to_string()),
        });
        record.state = JobState::Failed;
        record.finished_at_ms = Some(3_000);
        record.error = Some(api::Problem::new(api::ErrorCode::InvalidArgument, "no column secret"));
        let span = span_of(&record).unwrap();
        assert_eq!((span.parent, span.context.trace()), (Some(request.span()), [5; 16]));
        assert_eq!(span.ended.duration_since(span.began).unwrap(), Duration::from_secs(2));
        assert_eq!(span.error.as_deref(), Some("invalid_argument"));
        assert!(!format!("{span:?}").contains("secret"), "{span:?}");
    }

    #[test]
    fn records_of_before_have_no_trace() {
        let record = JobRecord::new(JobId::new_now(), spec(), 1);
        let old = serde_json::to_value(&record).unwrap();
        assert!(old.get("trace").is_none());
        assert_eq!(serde_json::from_value::<JobRecord>(old).unwrap(), record);
    }
}
