//! The disk, and leaders that come and go: a new one has what was durable, and nothing else.

use std::collections::BTreeMap;

use api::JobId;
use api::task::StageGraph;
use jobs::{JobRecord, Millis, Policy, Save, Scheduler, TaskChunk};

use super::{STEP, World};

/// By stage and number.
type Chunks = BTreeMap<(u32, u32), TaskChunk>;

/// What the disk has of a job that has not ended.
pub(super) struct Durable {
    record: JobRecord,
    /// Graph and chunks, by the run they belong to.
    planned: BTreeMap<u32, (StageGraph, Chunks)>,
}

/// A save on its way to the disk.
pub(super) struct Flight {
    lands: Millis,
    save: Save,
}

impl Durable {
    pub(super) fn new(record: JobRecord) -> Self {
        Self {
            record,
            planned: BTreeMap::new(),
        }
    }

    /// `parts` of the chunks reach the disk, in any order; the record and the graph only with the last of them.
    fn write(&mut self, save: &Save, parts: usize) {
        let run = save.record.run;
        if let (Some(graph), true) = (&save.graph, parts >= save.chunks.len()) {
            self.planned
                .entry(run)
                .or_insert_with(|| ((**graph).clone(), BTreeMap::new()));
        }
        if let Some((_, chunks)) = self.planned.get_mut(&run) {
            for chunk in save.chunks.iter().rev().take(parts) {
                chunks.insert((chunk.stage, chunk.index), chunk.clone());
            }
        }
        if parts >= save.chunks.len() {
            self.record = save.record.clone();
        }
    }
}

impl World {
    /// Writes behind.
    pub(super) fn save(&mut self) {
        let now = self.now;
        let landed: Vec<JobId> = self
            .saving
            .iter()
            .filter(|(_, flight)| flight.lands <= now)
            .map(|(job, _)| *job)
            .collect();
        for job in landed {
            let Some(Flight { save, .. }) = self.saving.remove(&job) else {
                continue;
            };
            if let Some(durable) = self.durable.get_mut(&job) {
                durable.write(&save, save.chunks.len());
            }
            self.scheduler.saved(now, job, save.version);
        }
        for job in std::mem::take(&mut self.dirty) {
            if self.saving.contains_key(&job) || self.chaos(700) {
                self.dirty.insert(job);
                continue;
            }
            if let Some(save) = self.scheduler.save(job) {
                let lands = now + self.random.between(0, 8) * STEP;
                self.saving.insert(job, Flight { lands, save });
            }
        }
    }

    pub(super) fn end_what_is_durable(&mut self) {
        let now = self.now;
        let (due, later) = std::mem::take(&mut self.finishing)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.finishing = later;
        let due: Vec<(Millis, Box<jobs::Ending>)> = due;
        for (_, ending) in due {
            self.checks.end(&ending, self.seed);
            self.durable.remove(&ending.record.id);
            self.scheduler.finished(now, ending.record.id);
        }
    }

    /// Sometimes another master leads. What was under way to the disk has arrived, or never will.
    pub(super) fn change_leader(&mut self) {
        if !self.chaos(4) {
            return;
        }
        self.leaders += 1;
        for (_, ending) in std::mem::take(&mut self.finishing) {
            if self.random.chance(500) {
                self.checks.end(&ending, self.seed);
                self.durable.remove(&ending.record.id);
            }
        }
        for (job, Flight { save, .. }) in std::mem::take(&mut self.saving) {
            let parts = self.random.between(0, save.chunks.len() as u64 * 2) as usize;
            if let Some(durable) = self.durable.get_mut(&job) {
                durable.write(&save, parts);
            }
        }
        self.dirty.clear();
        let policy = Policy {
            max_active: 3,
            ..Policy::default()
        };
        self.scheduler = Scheduler::new(policy, self.now);
        self.scheduler
            .expect_workers(self.workers.iter().map(|worker| worker.id.clone()));
        let mut kept = Vec::new();
        for durable in self.durable.values_mut() {
            let has_plan = durable.planned.contains_key(&durable.record.run);
            durable.record = durable.record.clone().taken_over(self.now, has_plan).0;
            let planned = durable
                .planned
                .get(&durable.record.run)
                .map(|(graph, chunks)| (graph.clone(), chunks.values().cloned().collect::<Vec<_>>()));
            if let Some((_, chunks)) = &planned {
                let done = chunks
                    .iter()
                    .flat_map(|chunk| chunk.tasks.iter().map(|task| (chunk.stage, task)));
                let done = done.filter_map(|(stage, task)| Some((stage, task.partition, task.done.as_ref()?.attempt)));
                kept.extend(done.map(|(stage, partition, attempt)| (durable.record.id, stage, partition, attempt)));
            }
            self.scheduler.resume(self.now, durable.record.clone(), planned);
        }
        self.checks.leader_changed(&kept);
        self.obey(None);
    }
}
