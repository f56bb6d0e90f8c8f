//! The order of victims, against lists that are searched from end to end.

use std::collections::VecDeque;

use proptest::prelude::{TestCaseError, prop_assert_eq, proptest};

use super::{Eviction, Policy, Step, StoredKey, keeps, key, number, steps};

/// What a policy decides, by the numbers of keys.
trait Model {
    fn used(&mut self, n: usize);
    fn inserted(&mut self, n: usize);
    fn removed(&mut self, n: usize);
    fn victim(&mut self) -> Option<usize>;
    fn keys(&self) -> Vec<usize>;
}

/// Oldest use first.
#[derive(Default)]
struct Recency(Vec<usize>);

impl Model for Recency {
    fn used(&mut self, n: usize) {
        self.removed(n);
        self.0.push(n);
    }

    fn inserted(&mut self, n: usize) {
        self.used(n);
    }

    fn removed(&mut self, n: usize) {
        self.0.retain(|held| *held != n);
    }

    fn victim(&mut self) -> Option<usize> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    fn keys(&self) -> Vec<usize> {
        self.0.clone()
    }
}

/// Algorithm 1 of the paper with queues as long as the number of entries says, sparing the latest entry. Front is oldest.
#[derive(Default)]
struct ThreeQueues {
    small: VecDeque<(usize, u8)>,
    main: VecDeque<(usize, u8)>,
    /// Hashes; `None` where one was taken out.
    ghost: VecDeque<Option<u64>>,
    latest: Option<usize>,
}

impl ThreeQueues {
    fn uses(&mut self, n: usize) -> Option<&mut u8> {
        let held = self.small.iter_mut().chain(&mut self.main).find(|(held, _)| *held == n);
        held.map(|(_, uses)| uses)
    }

    fn forget(&mut self, hash: u64) -> bool {
        let place = self.ghost.iter_mut().find(|held| **held == Some(hash));
        place.and_then(Option::take).is_some()
    }

    fn trim(&mut self) {
        let len = self.small.len() + self.main.len();
        while self.ghost.len() > len - len / 10 {
            self.ghost.pop_front();
        }
    }
}

impl Model for ThreeQueues {
    fn used(&mut self, n: usize) {
        if let Some(uses) = self.uses(n) {
            *uses = (*uses + 1).min(3);
        }
    }

    fn inserted(&mut self, n: usize) {
        self.latest = Some(n);
        if self.uses(n).is_some() {
            self.used(n);
        } else if self.forget(key(n).hash) {
            self.main.push_back((n, 0));
        } else {
            self.small.push_back((n, 0));
        }
    }

    fn removed(&mut self, n: usize) {
        self.small.retain(|(held, _)| *held != n);
        self.main.retain(|(held, _)| *held != n);
        self.latest = self.latest.filter(|latest| *latest != n);
        self.trim();
    }

    fn victim(&mut self) -> Option<usize> {
        loop {
            let len = self.small.len() + self.main.len();
            let latest = |held: Option<&(usize, u8)>| len > 1 && held.is_some() && held.map(|(n, _)| *n) == self.latest;
            let only_latest_in_main = self.main.len() == 1 && latest(self.main.front());
            if self.small.len() > (len / 10).max(1) || self.main.is_empty() || only_latest_in_main {
                let spared = latest(self.small.front());
                let (n, uses) = self.small.pop_front()?;
                if spared {
                    self.small.push_back((n, uses));
                } else if uses > 1 {
                    self.main.push_back((n, 0));
                } else {
                    self.forget(key(n).hash);
                    self.ghost.push_back(Some(key(n).hash));
                    self.removed(n);
                    return Some(n);
                }
            } else {
                let spared = latest(self.main.front());
                let (n, uses) = self.main.pop_front()?;
                if spared {
                    self.main.push_back((n, uses));
                } else if uses > 0 {
                    self.main.push_back((n, uses - 1));
                } else {
                    self.removed(n);
                    return Some(n);
                }
            }
        }
    }

    fn keys(&self) -> Vec<usize> {
        self.small.iter().chain(&self.main).map(|(n, _)| *n).collect()
    }
}

fn check(mut table: Box<dyn Eviction<()>>, mut model: impl Model, crowd: usize, steps: &[Step]) -> Result<(), TestCaseError> {
    // Enough for shares of more than one entry, and for memory to be given back when most are dropped.
    let crowd = (10..crowd + 10).map(Step::Insert);
    for step in crowd.chain(steps.iter().copied()) {
        match step {
            Step::Get(n) => {
                if table.get(key(n)).is_some() {
                    model.used(n);
                }
            }
            Step::Peek(n) => {
                table.peek(key(n));
            }
            Step::Insert(n) => {
                table.insert(StoredKey::from(key(n)), ());
                model.inserted(n);
            }
            Step::Remove(n) => {
                if table.remove(key(n)).is_some() {
                    model.removed(n);
                }
            }
            Step::Evict => prop_assert_eq!(table.victim().map(|(stored, ())| number(&stored)), model.victim()),
            Step::Thin(divisor) => {
                for n in model.keys().into_iter().filter(|n| !keeps(divisor, *n)) {
                    table.remove(key(n));
                    model.removed(n);
                }
            }
        }
    }
    while let Some(n) = model.victim() {
        prop_assert_eq!(table.victim().map(|(stored, ())| number(&stored)), Some(n));
    }
    Ok(())
}

proptest! {
    #[test]
    fn lru_evicts_what_was_used_longest_ago(crowd in 0usize..200, steps in steps()) {
        check(Policy::Lru.table(), Recency::default(), crowd, &steps)?;
    }

    #[test]
    fn s3fifo_evicts_what_the_paper_says(crowd in 0usize..200, steps in steps()) {
        check(Policy::S3Fifo.table(), ThreeQueues::default(), crowd, &steps)?;
    }
}
