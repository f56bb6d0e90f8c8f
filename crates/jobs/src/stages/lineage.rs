//! What a lost output costs.
//!
//! Recomputation follows lineage, as in Zaharia et al., "Resilient Distributed Datasets" (NSDI 2012), section 5.4: only lost
//! partitions that somebody still reads run again. A stage that is not deterministic is the exception: a second run would
//! disagree with what its readers already took, so it runs again whole, and with it everything downstream.

use std::collections::BTreeSet;

use super::{StageRun, Stages, to_u32};
use crate::Millis;
use crate::task::State;
use crate::worker::Life;

impl Stages {
    /// Marks the outputs that a lost worker held. The last stage's are in our hands or are blobs: those stay.
    pub(crate) fn lose_outputs(&mut self, life: &Life) {
        let held = |stage: &StageRun, partition: u32| {
            matches!(&stage.tasks[partition as usize].state,
                State::Done(done) if done.worker == life.worker && done.boot == life.boot)
        };
        let mut lost = Vec::new();
        for (number, stage) in self.stages.iter().enumerate() {
            let here = stage.done.iter().filter(|partition| held(stage, **partition));
            lost.extend(here.map(|partition| (to_u32(number), *partition)));
        }
        lost.into_iter()
            .for_each(|(stage, partition)| self.lose_output(stage, partition));
    }

    /// Marks one output as gone.
    pub(crate) fn lose_output(&mut self, stage: u32, partition: u32) {
        if self.is_last(stage) {
            return;
        }
        if let Some(task) = self.task_mut(stage, partition) {
            task.state = State::Lost;
            self.stages[stage as usize].done.remove(&partition);
        }
    }

    /// Reopens lost outputs that are still read, from the last stage to the first until nothing changes.
    pub(crate) fn recompute_lost(&mut self, now: Millis) {
        while let Some(stage) = (0..self.stages.len()).rev().find(|s| self.has_missed_outputs(*s)) {
            if self.graph.stages[stage].deterministic {
                self.reopen_lost(stage, now);
            } else {
                self.restart_with_readers(stage, now);
            }
        }
    }

    pub(super) fn reopen_lost(&mut self, stage: usize, now: Millis) {
        for partition in 0..to_u32(self.stages[stage].tasks.len()) {
            if matches!(self.stages[stage].tasks[partition as usize].state, State::Lost) {
                self.reopen(to_u32(stage), partition, now, now);
            }
        }
    }

    pub(super) fn has_missed_outputs(&self, stage: usize) -> bool {
        self.stages[stage].has_lost() && self.is_read(stage)
    }

    fn is_read(&self, stage: usize) -> bool {
        let readers = &self.consumers[stage];
        readers.iter().any(|reader| self.stages[*reader].is_reading())
    }

    /// A stage and all that read it, directly or not.
    pub(super) fn with_readers(&self, stage: usize) -> BTreeSet<usize> {
        let mut affected = BTreeSet::from([stage]);
        let mut next = vec![stage];
        while let Some(one) = next.pop() {
            next.extend(self.consumers[one].iter().copied().filter(|reader| affected.insert(*reader)));
        }
        affected
    }

    /// What ran before does not count any more, not even after a change of leader: therefore the new floors must be durable
    /// before any of these stages starts.
    pub(super) fn restart_with_readers(&mut self, stage: usize, now: Millis) {
        for number in self.with_readers(stage) {
            let target = &mut self.stages[number];
            let next = target.tasks.iter().map(|task| task.next).max().unwrap_or_default();
            target.floor = target.floor.max(next);
            target.held = true;
            target.tasks.iter_mut().for_each(|task| task.next = next);
            for partition in 0..to_u32(target.tasks.len()) {
                if !self.stages[number].pending.contains(partition) {
                    self.reopen(to_u32(number), partition, now, now);
                }
            }
        }
        // At least one chunk carries the floors.
        self.touched.insert((to_u32(stage), 0));
        self.restarted = true;
    }
}
