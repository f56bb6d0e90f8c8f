//! Figures of jobs. Only the leader moves them.

use std::time::Duration;

use api::job::JobState;
use jobs::TaskResult;
use prometheus::{Histogram, IntCounterVec, IntGauge, Registry};
use telemetry::Metrics;

/// Bounds in seconds of how long jobs take: 10 ms to an hour.
const DURATION_BUCKETS: &[f64] = &[
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
];

#[derive(Debug, Clone)]
pub(super) struct JobMetrics {
    jobs: IntCounterVec,
    running: IntGauge,
    workers: IntGauge,
    tasks: IntCounterVec,
    duration: Histogram,
}

impl JobMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        let jobs = metrics.counters("jobs_total", "Jobs that ended, by their final state.", &["state"]);
        for state in [JobState::Succeeded, JobState::Failed, JobState::Cancelled] {
            jobs.with_label_values(&[state_name(state)]);
        }
        Self {
            jobs,
            running: metrics.int_gauge("jobs_running", "Jobs that have not ended; 0 on masters that do not lead."),
            workers: metrics.int_gauge("job_workers", "Workers that poll this master; 0 on masters that do not lead."),
            tasks: metrics.counters("tasks_total", "Attempts of tasks that ended, by how.", &["result"]),
            duration: metrics.histogram(
                "job_duration_seconds",
                "Time from the acceptance of a job to its durable end.",
                DURATION_BUCKETS,
            ),
        }
    }

    pub(super) fn job_ended(&self, state: JobState, took: Duration) {
        self.jobs.with_label_values(&[state_name(state)]).inc();
        self.duration.observe(took.as_secs_f64());
    }

    pub(super) fn task_ended(&self, result: TaskResult) {
        self.tasks.with_label_values(&[result.as_str()]).inc();
    }

    pub(super) fn live(&self, jobs: usize, workers: usize) {
        self.running.set(i64::try_from(jobs).unwrap_or(i64::MAX));
        self.workers.set(i64::try_from(workers).unwrap_or(i64::MAX));
    }
}

/// The name of a state, as in JSON.
pub(super) const fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::Planning => "planning",
        JobState::Running => "running",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}
