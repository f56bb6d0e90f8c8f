//! Figures of jobs. Only the leader moves them.

use std::time::Duration;

use api::job::JobState;
use jobs::{Figures, Millis, TaskResult};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};
use telemetry::Metrics;

/// Bounds in seconds of how long jobs take: 10 ms to an hour.
const DURATION_BUCKETS: &[f64] = &[
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
];

/// Bounds in seconds of how long work that could be done waits for a slot.
const WAIT_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];
/// Queues as they are labelled: a label for each priority would have no bound.
const PRIORITIES: [&str; 3] = ["high", "normal", "low"];

#[derive(Debug, Clone)]
pub(super) struct JobMetrics {
    jobs: IntCounterVec,
    running: IntGauge,
    workers: IntGauge,
    tasks: IntCounterVec,
    duration: Histogram,
    queued: IntGaugeVec,
    slots: IntGaugeVec,
    shunned: IntGauge,
    twins: IntCounter,
    wait: Histogram,
}

impl JobMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        let jobs = metrics.counters("jobs_total", "Jobs that ended, by their final state.", &["state"]);
        for state in [JobState::Succeeded, JobState::Failed, JobState::Cancelled] {
            jobs.with_label_values(&[state_name(state)]);
        }
        let tasks = metrics.counters("tasks_total", "Attempts of tasks that ended, by how.", &["result"]);
        for result in TaskResult::ALL {
            tasks.with_label_values(&[result.as_str()]);
        }
        Self {
            jobs,
            running: metrics.int_gauge("jobs_running", "Jobs that have not ended; 0 on masters that do not lead."),
            workers: metrics.int_gauge("job_workers", "Workers that poll this master; 0 on masters that do not lead."),
            tasks,
            duration: metrics.histogram(
                "job_duration_seconds",
                "Time from the acceptance of a job to its durable end.",
                DURATION_BUCKETS,
            ),
            queued: metrics.int_gauges(
                "jobs_queued",
                "Jobs of which nothing has been started, by priority: above 0, 0, below.",
                &["priority"],
            ),
            slots: metrics.int_gauges(
                "job_slots",
                "Slots of the workers that poll this master, by state.",
                &["state"],
            ),
            shunned: metrics.int_gauge(
                "job_workers_shunned",
                "Workers that get nothing for a while: tasks failed on them that succeeded elsewhere.",
            ),
            twins: metrics.counter("task_twins_total", "Slow tasks that were given to a second worker."),
            wait: metrics.histogram(
                "task_wait_seconds",
                "Time from when a piece of work could be started until it was given to a worker.",
                WAIT_BUCKETS,
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

    pub(super) fn handed_out(&self, waited: Millis) {
        self.wait.observe(Duration::from_millis(waited).as_secs_f64());
    }

    pub(super) fn twin_started(&self) {
        self.twins.inc();
    }

    pub(super) fn live(&self, figures: &Figures) {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.running.set(count(figures.jobs));
        self.workers.set(count(figures.workers));
        self.shunned.set(count(figures.shunned));
        self.slots.with_label_values(&["busy"]).set(count(figures.busy));
        self.slots
            .with_label_values(&["free"])
            .set(count(figures.slots.saturating_sub(figures.busy)));
        for (priority, queued) in PRIORITIES.iter().zip(figures.queued) {
            self.queued.with_label_values(&[priority]).set(count(queued));
        }
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
