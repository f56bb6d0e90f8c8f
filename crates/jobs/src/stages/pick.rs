//! Which task comes next for a given worker.
//!
//! Locality by delay scheduling (Zaharia et al., EuroSys 2010): a task whose input lies at one place is kept for workers there,
//! for a moment. After that anybody may have it, so that nothing starves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::NodeId;

use super::{Stages, to_u32};
use crate::pending::Class;
use crate::task::State;
use crate::{Millis, Policy};

/// Picky tasks looked at for one worker.
const PICKY: usize = 64;
/// A running task is slow only when so many milliseconds old.
const TWIN_AFTER: Millis = 2_000;

/// A worker that asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) id: &'a NodeId,
    pub(crate) address: &'a str,
}

impl Candidate<'_> {
    fn host(&self) -> &str {
        host(self.address)
    }
}

/// The host of `host:port`.
pub(crate) fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

impl Stages {
    /// Opens and closes stages as their inputs come and go, and sorts what has become due.
    pub(crate) fn refresh(&mut self, now: Millis, policy: &Policy) {
        for number in 0..self.stages.len() {
            if self.stages[number].pending.is_empty() {
                continue;
            }
            if !self.stages[number].held && self.inputs_complete(number) {
                self.stages[number].pending.open(now);
            } else {
                self.stages[number].pending.close();
                continue;
            }
            let due = self.stages[number].pending.due(now);
            if due.is_empty() {
                continue;
            }
            let heaviest = self.heaviest_input(number, policy);
            for partition in due {
                let class = self.class(number, partition, heaviest.as_ref(), policy);
                self.stages[number].pending.settle(partition, class);
            }
        }
    }

    /// A task that the worker may start now: earlier stages first, since others wait for them. Call [`Stages::refresh`] before.
    pub(crate) fn next_for(
        &self,
        now: Millis,
        worker: Candidate<'_>,
        others: impl Fn(&BTreeSet<NodeId>) -> bool + Copy,
        policy: &Policy,
    ) -> Option<(u32, u32)> {
        self.stages
            .iter()
            .enumerate()
            .filter(|(_, stage)| stage.pending.is_ready())
            .find_map(|(number, stage)| {
                let pending = &stage.pending;
                let waited = pending.opened().is_some_and(|opened| opened + policy.locality_wait <= now);
                let may = |p: &u32| stage.tasks[*p as usize].may_start(now, worker.id, others, policy);
                pending
                    .first_near([worker.address, worker.host()])
                    .or_else(|| pending.picky().take(PICKY).find(may))
                    .or_else(|| pending.first_anywhere())
                    .or_else(|| pending.first_far().filter(|_| waited))
                    .map(|partition| (to_u32(number), partition))
            })
    }

    /// The first task that needs a worker of its own.
    pub(crate) fn next_alone(&self) -> Option<(u32, u32)> {
        let alone = |(number, stage): (usize, &super::StageRun)| Some((to_u32(number), stage.pending.first_alone()?));
        self.stages.iter().enumerate().find_map(alone)
    }

    /// Whether something may start now on some worker; else when that may be.
    pub(crate) fn readiness(&self) -> (bool, Option<Millis>) {
        let ready = self.stages.iter().any(|stage| stage.pending.is_ready());
        (ready, self.stages.iter().filter_map(|stage| stage.pending.next_at()).min())
    }

    /// Since when a task has been ready to start.
    pub(crate) fn ready_since(&self, stage: u32, partition: u32) -> Option<Millis> {
        self.stages.get(stage as usize)?.pending.ready_since(partition)
    }

    /// Says on which host the blobs of a task are; `holders` knows the hosts of one blob.
    pub(crate) fn locate(&mut self, holders: impl Fn(&str) -> Vec<String>) {
        for (stage, planned) in self.stages.iter_mut().zip(&self.graph.stages) {
            let home = |blobs: &Vec<String>| {
                let mut hosts: BTreeMap<String, usize> = BTreeMap::new();
                for blob in blobs {
                    holders(blob)
                        .into_iter()
                        .for_each(|host| *hosts.entry(host).or_default() += 1);
                }
                let best = hosts.into_iter().max_by_key(|(_, count)| *count);
                best.map(|(host, _)| host.into())
            };
            stage.homes = planned.blobs.iter().map(home).collect();
            // Sorted anew at the next look.
            stage.pending.close();
        }
    }

    /// Running tasks that are much slower than the others of their stage.
    pub(crate) fn stragglers(&self, now: Millis) -> Vec<(u32, u32)> {
        let mut found = Vec::new();
        for (number, stage) in self.stages.iter().enumerate() {
            if stage.running.is_empty() || stage.done.len() * 2 < stage.tasks.len() || stage.durations.is_empty() {
                continue;
            }
            let mut durations = stage.durations.clone();
            let middle = durations.len() / 2;
            let median = *durations.select_nth_unstable(middle).1;
            let slow = TWIN_AFTER.max(median + median / 2);
            let is_slow = |p: &&u32| {
                let task = &stage.tasks[**p as usize];
                !task.alone && matches!(task.live(), [only] if only.since + slow < now)
            };
            found.extend(stage.running.iter().filter(is_slow).map(|p| (to_u32(number), *p)));
        }
        found
    }

    /// Whether another attempt of a running task could read its inputs.
    pub(crate) fn has_inputs(&self, stage: u32) -> bool {
        self.stages.get(stage as usize).is_some_and(|target| !target.held) && self.inputs_complete(stage as usize)
    }

    fn inputs_complete(&self, stage: usize) -> bool {
        let inputs = &self.graph.stages[stage].inputs;
        inputs.iter().all(|input| self.stages[*input as usize].is_complete())
    }

    fn class(&self, stage: usize, partition: u32, heaviest: Option<&Arc<str>>, policy: &Policy) -> Class {
        let task = &self.stages[stage].tasks[partition as usize];
        if task.alone {
            return Class::Alone;
        }
        if !task.avoid.is_empty() {
            return Class::Picky;
        }
        let home = self.stages[stage].homes.get(partition as usize).cloned().flatten();
        let near = home
            .or_else(|| self.own_producer(stage, partition, policy))
            .or_else(|| heaviest.cloned());
        near.map_or(Class::Anywhere, Class::Near)
    }

    /// Where the one output lies that a task reads, when each task reads one: stages that do not shuffle.
    fn own_producer(&self, stage: usize, partition: u32, policy: &Policy) -> Option<Arc<str>> {
        let [input] = self.graph.stages[stage].inputs[..] else {
            return None;
        };
        let producer = &self.graph.stages[input as usize];
        if producer.output_partitions != 1 || producer.partitions != self.graph.stages[stage].partitions {
            return None;
        }
        match &self.stages[input as usize].tasks.get(partition as usize)?.state {
            State::Done(done) if done.output.bytes >= policy.locality_bytes => Some(done.address.as_str().into()),
            _ => None,
        }
    }

    /// The place with more than half of the input of a stage that is one task.
    fn heaviest_input(&self, stage: usize, policy: &Policy) -> Option<Arc<str>> {
        let planned = &self.graph.stages[stage];
        if planned.partitions != 1 {
            return None;
        }
        let mut bytes: BTreeMap<&str, u64> = BTreeMap::new();
        for input in &planned.inputs {
            for task in &self.stages[*input as usize].tasks {
                if let State::Done(done) = &task.state {
                    *bytes.entry(&done.address).or_default() += done.output.bytes;
                }
            }
        }
        let all: u64 = bytes.values().sum();
        let (place, most) = bytes.into_iter().max_by_key(|(_, bytes)| *bytes)?;
        (most * 2 > all && most >= policy.locality_bytes).then(|| place.into())
    }
}
