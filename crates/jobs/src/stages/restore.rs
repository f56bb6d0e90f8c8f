//! A graph as an earlier leader left it: what was durable, and nothing else.
//!
//! Done tasks stay done. For the others there may be reports on their way and workers that run them still, so that they are
//! open to [`Stages::adopt`]. A stage that is not deterministic and not complete is the exception: whoever read it may have
//! read an attempt that never became durable, and that another one will contradict.

use super::{Stages, to_u32};
use crate::attempt;
use crate::graph::InvalidGraph;
use crate::save::TaskChunk;
use crate::task::{State, Task};
use crate::{Millis, Policy};
use api::task::StageGraph;

impl Stages {
    /// The graph at the beginning of a term.
    pub(crate) fn restore(
        graph: StageGraph,
        chunks: Vec<TaskChunk>,
        term: u32,
        now: Millis,
        policy: &Policy,
    ) -> Result<Self, InvalidGraph> {
        let mut stages = Self::new(graph, term, now, policy)?;
        for (stage, floor) in chunks.iter().flat_map(|chunk| &chunk.floors) {
            if let Some(target) = stages.stages.get_mut(*stage as usize) {
                target.floor = target.floor.max(*floor);
            }
        }
        for chunk in chunks {
            stages.restore_chunk(chunk);
        }
        for target in &mut stages.stages {
            target.pending = crate::pending::Pending::default();
            for task in &mut target.tasks {
                if !matches!(task.state, State::Done(_)) {
                    task.state = State::Lost;
                }
            }
        }
        stages.open_what_is_needed(now);
        Ok(stages)
    }

    fn restore_chunk(&mut self, chunk: TaskChunk) {
        let base = attempt::base(self.term);
        let Some(target) = self.stages.get_mut(chunk.stage as usize) else {
            return;
        };
        for record in chunk.tasks {
            let partition = record.partition;
            let Some(slot) = target.tasks.get_mut(partition as usize) else {
                continue;
            };
            let mut task = Task::restored(record, base);
            match &task.state {
                State::Done(done) if attempt::number(done.attempt) < target.floor => task.state = State::Lost,
                State::Done(_) => drop(target.done.insert(partition)),
                _ => {}
            }
            *slot = task;
        }
    }

    fn open_what_is_needed(&mut self, now: Millis) {
        let last = self.stages.len() - 1;
        loop {
            let needed = |stage: &usize| self.stages[*stage].has_lost() && (*stage == last || self.has_missed_outputs(*stage));
            let Some(stage) = (0..=last).rev().find(needed) else { return };
            let was_read = self.consumers[stage]
                .iter()
                .any(|reader| !self.stages[*reader].done.is_empty());
            if self.graph.stages[stage].deterministic {
                self.reopen_lost(stage, now);
            } else if was_read {
                self.restart_with_readers(stage, now);
            } else {
                self.reopen_lost(stage, now);
                self.disown_readers(stage);
            }
        }
    }

    /// Attempts of earlier leaders at what reads this stage do not count.
    fn disown_readers(&mut self, stage: usize) {
        let base = attempt::base(self.term);
        for reader in self.with_readers(stage).into_iter().filter(|reader| *reader != stage) {
            self.stages[reader].floor = base;
            self.touched.insert((to_u32(reader), 0));
        }
    }
}
