//! One live job: queued → planning → running → its end.

mod end;
mod setback;

use std::collections::BTreeSet;
use std::sync::Arc;

use api::NodeId;
use api::job::JobState;
use api::task::{StageGraph, TaskId, WorkId};

use crate::journal::Journal;
use crate::queue::{Place, Standing};
use crate::record::JobRecord;
use crate::save::{Save, TaskChunk};
use crate::stages::Stages;
use crate::task::Task;
use crate::worker::Life;
use crate::{Millis, Policy, attempt, graph};
pub(crate) use setback::After;

/// A job between its acceptance and the durable record of its end.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) record: JobRecord,
    pub(crate) phase: Phase,
    /// When it was last given a slot, as a sequence number: the least is served next.
    pub(crate) served: u64,
    /// When this scheduler took it on.
    pub(crate) accepted: Millis,
    /// Workers that may hold files of it.
    pub(crate) participants: BTreeSet<NodeId>,
    /// Nothing new is started before that: its workers may have it in hand still.
    pub(crate) quiet_until: Millis,
    pub(crate) journal: Journal,
    /// Version of the latest change that the driver was told of.
    pub(crate) told: u64,
    /// Only its plan is wanted; nothing of it is kept.
    pub(crate) is_dry: bool,
    /// Size of what was submitted.
    pub(crate) bytes: usize,
    max_attempts: u32,
    deadline: Millis,
    timeout: Millis,
}

/// What the job is waiting for.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Its plan.
    Planning(Task),
    /// Its tasks.
    Running(Stages),
    /// The durable record of its end.
    Finishing,
}

impl Run {
    pub(crate) fn new(record: JobRecord, now: Millis, policy: &Policy) -> Self {
        let timeout = record
            .spec
            .timeout
            .map_or(policy.job_timeout, |seconds| seconds.saturating_mul(1_000));
        Self {
            phase: Phase::Planning(Task::new(now, attempt::base(record.term))),
            served: 0,
            accepted: now,
            participants: BTreeSet::new(),
            quiet_until: 0,
            journal: Journal::default(),
            told: 0,
            is_dry: false,
            bytes: record.spec.text_bytes(),
            max_attempts: record.spec.max_attempts.unwrap_or(policy.max_attempts).max(1),
            deadline: record.submitted_at_ms.saturating_add(timeout),
            timeout,
            record,
        }
    }

    /// The same job under another leader: with what was durable of its graph and its tasks.
    pub(crate) fn resumed(
        record: JobRecord,
        planned: Option<(StageGraph, Vec<TaskChunk>)>,
        now: Millis,
        policy: &Policy,
    ) -> Self {
        let mut run = Self::new(record, now, policy);
        run.quiet_until = now + policy.resume_grace;
        if let Some((graph, chunks)) = planned
            && let Ok(stages) = Stages::restore(graph, chunks, run.record.term, now, policy)
        {
            run.participants.extend(stages.holders().map(|life| life.worker));
            run.phase = Phase::Running(stages);
            run.record.state = JobState::Running;
        }
        run.settle();
        run
    }

    /// Whether `life` has this work in hand, for us.
    pub(crate) fn is_running(&self, work: &WorkId, life: &Life) -> bool {
        match (&self.phase, work) {
            (Phase::Planning(task), WorkId::Plan(_, attempt)) => task.is_running(*attempt, life),
            (Phase::Running(stages), WorkId::Task(id)) => stages
                .task(id.stage, id.partition)
                .is_some_and(|t| t.is_running(id.attempt, life)),
            _ => false,
        }
    }

    /// Whether `life` did this work and holds its output, so that it must not throw it away.
    pub(crate) fn is_done_by(&self, work: &WorkId, life: &Life) -> bool {
        match (&self.phase, work) {
            (Phase::Running(stages), WorkId::Task(id)) => stages
                .task(id.stage, id.partition)
                .is_some_and(|t| t.is_done_by(id.attempt, life)),
            _ => false,
        }
    }

    /// Whether what is known of this work is durable.
    pub(crate) fn is_durable(&self, work: &WorkId) -> bool {
        match (&self.phase, work) {
            (Phase::Running(stages), WorkId::Task(id)) => stages
                .task(id.stage, id.partition)
                .is_none_or(|task| task.version <= self.journal.durable()),
            _ => true,
        }
    }

    /// Takes in a task that an earlier leader gave out, if it still counts; whether it does. Plannings never do.
    pub(crate) fn adopt(&mut self, work: &WorkId, life: &Life, now: Millis) -> bool {
        let (Phase::Running(stages), WorkId::Task(id)) = (&mut self.phase, work) else {
            return false;
        };
        let attempt = id.attempt;
        if attempt::run(attempt) != self.record.run {
            return false;
        }
        let ended = stages.task(id.stage, id.partition).is_none_or(|task| task.has_ended(attempt));
        let adoptable = !ended && stages.is_adoptable(id.stage, id.partition, attempt::number(attempt));
        if adoptable {
            stages.adopt(id.stage, id.partition, attempt, life.clone(), now);
        }
        adoptable
    }

    /// Everything of it that runs on `life`.
    pub(crate) fn work_on(&self, life: &Life) -> Vec<WorkId> {
        let job = self.record.id;
        match &self.phase {
            Phase::Planning(task) => {
                let here = task.live().iter().filter(|live| live.on == *life);
                here.map(|live| WorkId::Plan(job, live.attempt)).collect()
            }
            Phase::Running(stages) => {
                let id = |(stage, partition, attempt)| {
                    WorkId::Task(TaskId {
                        job,
                        stage,
                        partition,
                        attempt,
                    })
                };
                stages.running_on(life).into_iter().map(id).collect()
            }
            Phase::Finishing => Vec::new(),
        }
    }

    /// Takes the plan.
    pub(crate) fn planned(&mut self, graph: StageGraph, now: Millis, policy: &Policy) -> Result<(), String> {
        let stages = Stages::new(graph, self.record.term, now, policy).map_err(|error| error.to_string())?;
        self.record.state = JobState::Running;
        self.record.progress = stages.progress();
        self.phase = Phase::Running(stages);
        self.journal.planned();
        Ok(())
    }

    /// Brings the record's progress up to date.
    pub(crate) fn refresh_progress(&mut self) {
        if let Phase::Running(stages) = &self.phase {
            self.record.progress = stages.progress();
        }
    }

    /// Gives what changed a version.
    pub(crate) fn settle(&mut self) {
        let Phase::Running(stages) = &mut self.phase else { return };
        let (touched, restarted) = stages.take_changes();
        for (stage, chunk) in touched {
            self.journal.chunk_changed(stage, chunk);
        }
        if restarted {
            stages.hold_until(self.journal.version());
        }
    }

    /// Everything that is newer than its durable copy.
    pub(crate) fn save(&mut self) -> Save {
        self.settle();
        self.refresh_progress();
        let (graph, chunks) = match &self.phase {
            Phase::Running(stages) => (
                self.journal.has_new_graph().then(|| Arc::clone(&stages.graph)),
                self.journal
                    .new_chunks()
                    .into_iter()
                    .filter_map(|(stage, index)| stages.chunk(stage, index))
                    .collect(),
            ),
            Phase::Planning(_) | Phase::Finishing => (None, Vec::new()),
        };
        Save {
            job: self.record.id,
            version: self.journal.version(),
            record: self.record.clone(),
            graph,
            chunks,
        }
    }

    /// All up to `version` is durable.
    pub(crate) fn saved(&mut self, version: u64) {
        self.journal.saved(version);
        if let Phase::Running(stages) = &mut self.phase {
            stages.saved(version);
        }
    }

    /// Where the job stands in the queue.
    pub(crate) fn standing(&mut self, now: Millis, policy: &Policy) -> Standing {
        self.settle();
        let quiet = (now < self.quiet_until).then_some(self.quiet_until);
        let (place, in_hand, alone) = match &mut self.phase {
            Phase::Finishing => (Place::Idle, 0, false),
            Phase::Planning(task) => {
                let place = match task.state {
                    crate::task::State::Pending { from } if self.record.state == JobState::Queued => {
                        if from <= now {
                            Place::Queued
                        } else {
                            Place::At(from)
                        }
                    }
                    crate::task::State::Pending { from } if from <= now => Place::Ready,
                    crate::task::State::Pending { from } => Place::At(from),
                    _ => Place::Idle,
                };
                (place, task.live().len(), false)
            }
            Phase::Running(stages) => {
                stages.refresh(now, policy);
                let place = match stages.readiness() {
                    (true, _) => Place::Ready,
                    (false, Some(at)) => Place::At(at),
                    (false, None) => Place::Idle,
                };
                (place, stages.in_hand(), stages.next_alone().is_some())
            }
        };
        let waits = !matches!(place, Place::Idle) || alone;
        Standing {
            place: quiet.filter(|_| waits).map_or(place, Place::At),
            in_hand,
            alone: alone && quiet.is_none(),
            is_queued: self.record.state == JobState::Queued,
            is_active: self.record.state != JobState::Queued && !matches!(self.phase, Phase::Finishing),
        }
    }

    /// The plan as text, if there is one.
    pub(crate) fn plan_text(&self) -> Option<String> {
        match &self.phase {
            Phase::Running(stages) => Some(graph::text(&stages.graph)),
            _ => None,
        }
    }
}
