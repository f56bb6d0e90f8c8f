//! Tasks of one stage that wait for a worker, sorted so that the next one for a given worker is found without looking at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::Millis;

/// Who may have a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Class {
    /// Anybody.
    Anywhere,
    /// Best a worker at this address or on this host; for a while only such a one.
    Near(Arc<str>),
    /// Some workers failed with it: each candidate must be looked at.
    Picky,
    /// A worker that does nothing else.
    Alone,
}

/// Tasks to be started. Those of a closed stage (its inputs are not there) are only remembered.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// All of them, and the earliest start of each.
    all: BTreeMap<u32, Millis>,
    /// Since when the stage has its inputs.
    opened: Option<Millis>,
    /// Tasks of an open stage whose time has not come, or has not been noticed.
    later: BTreeSet<(Millis, u32)>,
    classes: BTreeMap<u32, Class>,
    anywhere: BTreeSet<u32>,
    near: BTreeMap<Arc<str>, BTreeSet<u32>>,
    picky: BTreeSet<u32>,
    alone: BTreeSet<u32>,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn contains(&self, task: u32) -> bool {
        self.all.contains_key(&task)
    }

    /// Adds a task, or changes its earliest start.
    pub(crate) fn add(&mut self, task: u32, from: Millis) {
        self.remove(task);
        self.all.insert(task, from);
        if self.opened.is_some() {
            self.later.insert((from, task));
        }
    }

    pub(crate) fn remove(&mut self, task: u32) {
        if let Some(from) = self.all.remove(&task) {
            self.later.remove(&(from, task));
            self.unsettle(task);
        }
    }

    fn unsettle(&mut self, task: u32) {
        match self.classes.remove(&task) {
            Some(Class::Anywhere) => drop(self.anywhere.remove(&task)),
            Some(Class::Picky) => drop(self.picky.remove(&task)),
            Some(Class::Alone) => drop(self.alone.remove(&task)),
            Some(Class::Near(place)) => {
                if let Some(tasks) = self.near.get_mut(&place) {
                    tasks.remove(&task);
                    if tasks.is_empty() {
                        self.near.remove(&place);
                    }
                }
            }
            None => {}
        }
    }

    /// The inputs are there.
    pub(crate) fn open(&mut self, now: Millis) {
        if self.opened.is_none() {
            self.opened = Some(now);
            self.later = self.all.iter().map(|(task, from)| (*from, *task)).collect();
        }
    }

    /// The inputs are not there any more.
    pub(crate) fn close(&mut self) {
        let all = std::mem::take(&mut self.all);
        *self = Self { all, ..Self::default() };
    }

    pub(crate) const fn opened(&self) -> Option<Millis> {
        self.opened
    }

    /// Tasks whose time has come, to be settled.
    pub(crate) fn due(&mut self, now: Millis) -> Vec<u32> {
        let mut due = Vec::new();
        while let Some((from, task)) = self.later.first().copied().filter(|(from, _)| *from <= now) {
            self.later.remove(&(from, task));
            due.push(task);
        }
        due
    }

    /// Says who may have a task whose time has come.
    pub(crate) fn settle(&mut self, task: u32, class: Class) {
        match &class {
            Class::Anywhere => drop(self.anywhere.insert(task)),
            Class::Picky => drop(self.picky.insert(task)),
            Class::Alone => drop(self.alone.insert(task)),
            Class::Near(place) => drop(self.near.entry(Arc::clone(place)).or_default().insert(task)),
        }
        self.classes.insert(task, class);
    }

    /// Whether something may start, on some worker.
    pub(crate) fn is_ready(&self) -> bool {
        !(self.anywhere.is_empty() && self.near.is_empty() && self.picky.is_empty())
    }

    /// When the next one may start.
    pub(crate) fn next_at(&self) -> Option<Millis> {
        self.later.first().map(|(from, _)| *from)
    }

    /// The first that needs a worker of its own.
    pub(crate) fn first_alone(&self) -> Option<u32> {
        self.alone.first().copied()
    }

    /// The first that is best run at one of these places.
    pub(crate) fn first_near(&self, places: [&str; 2]) -> Option<u32> {
        places.iter().find_map(|place| self.near.get(*place)?.first().copied())
    }

    /// The first that may run anywhere.
    pub(crate) fn first_anywhere(&self) -> Option<u32> {
        self.anywhere.first().copied()
    }

    /// The first that is best run somewhere else.
    pub(crate) fn first_far(&self) -> Option<u32> {
        self.near.values().find_map(|tasks| tasks.first().copied())
    }

    /// Those that not every worker may have.
    pub(crate) fn picky(&self) -> impl Iterator<Item = u32> + '_ {
        self.picky.iter().copied()
    }

    /// When a task could have been started at the earliest.
    pub(crate) fn ready_since(&self, task: u32) -> Option<Millis> {
        Some((*self.all.get(&task)?).max(self.opened?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_found_by_their_class_once_open_and_due() {
        let mut pending = Pending::default();
        for task in 0..4 {
            pending.add(task, 10);
        }
        assert!(pending.due(100).is_empty(), "closed");
        pending.open(5);
        assert!(pending.due(9).is_empty(), "too early");
        assert_eq!(pending.due(10), [0, 1, 2, 3]);
        pending.settle(0, Class::Anywhere);
        pending.settle(1, Class::Near("a:1".into()));
        pending.settle(2, Class::Picky);
        pending.settle(3, Class::Alone);
        assert_eq!(pending.first_near(["a:1", "a"]), Some(1));
        assert_eq!(pending.first_near(["b:1", "b"]), None);
        assert_eq!((pending.first_anywhere(), pending.first_far()), (Some(0), Some(1)));
        assert_eq!(pending.first_alone(), Some(3));
        assert_eq!(pending.ready_since(0), Some(10));
        for task in [0, 1, 2] {
            pending.remove(task);
        }
        assert!(
            !pending.is_ready() && !pending.is_empty(),
            "the one left needs a worker of its own"
        );
        pending.close();
        assert_eq!((pending.first_alone(), pending.len()), (None, 1));
    }
}
