//! A store with the faults of stores: the whole way from the clients to the verdict finds each of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use histories::history::{Answer, Op, Step, StepAnswer, Value};
use histories::target::{Change, Changes, Outcome, Position, Target};
use parking_lot::Mutex;

use crate::{judged, run};

/// What it does wrong, now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Reads give what the key held before its last write.
    StaleReads,
    /// A write is acknowledged and forgotten.
    LostWrites,
    /// A condition is taken to hold.
    BlindSwaps,
    /// A write is executed and called refused.
    FalseRefusals,
    /// A change is not shown to watchers. Transactions are: with one the run says where it ends.
    MissedChanges,
    /// A write that nobody heard of is executed twice, the second time after it was read and replaced.
    Replays,
}

#[derive(Debug, Default)]
struct State {
    keys: BTreeMap<String, (Value, u64)>,
    before: BTreeMap<String, Option<(Value, u64)>>,
    revision: u64,
    log: Vec<Vec<Change>>,
    replays: Vec<Replay>,
    asked: u64,
}

/// A write to be executed once more.
#[derive(Debug)]
struct Replay {
    key: String,
    value: Value,
    /// Somebody has read it, so that nobody can take it for a write that happened late.
    was_read: bool,
}

#[derive(Debug)]
struct Broken {
    fault: Fault,
    state: Mutex<State>,
}

impl Broken {
    fn with(fault: Fault) -> Arc<dyn Target> {
        Arc::new(Self {
            fault,
            state: Mutex::default(),
        })
    }
}

impl State {
    fn put(&mut self, changes: &mut Vec<Change>, key: &str, value: Option<Value>) {
        let revision = self.revision + 1;
        let old = match value.clone() {
            Some(value) => self.keys.insert(key.to_owned(), (value, revision)),
            None => self.keys.remove(key),
        };
        self.before.insert(key.to_owned(), old);
        changes.push(Change::Key {
            key: key.to_owned(),
            value,
            revision,
            whole: false,
            resume: None,
        });
    }

    /// Called before a key is read: a write that was read and is no longer there comes back.
    fn replay(&mut self, key: &str) {
        let held = self.keys.get(key).map(|(value, _)| value.clone());
        for replay in self.replays.iter_mut().filter(|replay| replay.key == key) {
            replay.was_read |= held.as_ref() == Some(&replay.value);
        }
        let due = |replay: &mut Replay| replay.key == key && replay.was_read && held.as_ref() != Some(&replay.value);
        let due: Vec<_> = self.replays.extract_if(.., due).collect();
        for Replay { key, value, .. } in due {
            self.execute(&Op::Write { key, value }, Fault::None);
        }
    }

    fn commit(&mut self, changes: Vec<Change>, shows: bool) {
        if !changes.is_empty() {
            self.revision += 1;
            self.log.push(if shows { changes } else { Vec::new() });
        }
    }

    fn execute(&mut self, op: &Op, fault: Fault) -> Answer {
        let mut changes = Vec::new();
        let broken = |wanted| fault == wanted;
        let answer = match op {
            Op::Read { key, .. } => {
                let held = match self.before.get(key) {
                    Some(before) if broken(Fault::StaleReads) => before.as_ref(),
                    _ => self.keys.get(key),
                };
                Answer::Read {
                    value: held.map(|(value, _)| value.clone()),
                    revision: held.map_or(0, |(_, revision)| *revision),
                }
            }
            Op::Write { .. } if broken(Fault::LostWrites) => {
                self.revision += 1;
                self.log.push(Vec::new());
                return Answer::Written { revision: self.revision };
            }
            Op::Write { key, value } => {
                self.put(&mut changes, key, Some(value.clone()));
                Answer::Written {
                    revision: self.revision + 1,
                }
            }
            Op::Delete { key } => {
                let existed = self.keys.contains_key(key);
                if existed {
                    self.put(&mut changes, key, None);
                }
                Answer::Deleted { existed }
            }
            Op::Cas { key, revision, .. } | Op::Append { key, revision, .. } => {
                let held = self.keys.get(key).map_or(0, |(_, revision)| *revision);
                let done = held == *revision || broken(Fault::BlindSwaps);
                if done && let Some((key, value)) = op.produces().pop() {
                    self.put(&mut changes, key, Some(value));
                }
                let revision = if done { self.revision + 1 } else { 0 };
                Answer::Swapped { done, revision }
            }
            Op::Txn {
                compare,
                then,
                otherwise,
            } => {
                let succeeded = compare
                    .iter()
                    .all(|compare| self.keys.get(&compare.key).map(|(value, _)| value) == compare.expected.as_ref());
                let mut steps = Vec::new();
                for step in if succeeded { then } else { otherwise } {
                    steps.push(match step {
                        Step::Get { key } => StepAnswer::Got(self.keys.get(key).cloned()),
                        Step::Put { key, value } => {
                            self.put(&mut changes, key, Some(value.clone()));
                            StepAnswer::Put
                        }
                        Step::Delete { key } => {
                            let existed = self.keys.contains_key(key);
                            if existed {
                                self.put(&mut changes, key, None);
                            }
                            StepAnswer::Deleted(existed)
                        }
                    });
                }
                let revision = self.revision + u64::from(!changes.is_empty());
                Answer::Txn {
                    succeeded,
                    revision,
                    steps,
                }
            }
        };
        self.commit(changes, !broken(Fault::MissedChanges) || matches!(op, Op::Txn { .. }));
        answer
    }
}

#[async_trait]
impl Target for Broken {
    fn name(&self) -> &str {
        "broken"
    }

    async fn ask(&self, op: &Op) -> Outcome {
        let mut state = self.state.lock();
        state.asked += 1;
        let asked = state.asked;
        let now = if asked.is_multiple_of(20) { self.fault } else { Fault::None };
        if let Op::Read { key, .. } = op {
            state.replay(key);
        }
        let answer = state.execute(op, now);
        match (now, op) {
            (Fault::FalseRefusals, Op::Write { .. } | Op::Cas { .. }) => Outcome::NotExecuted("refused".to_owned()),
            (Fault::Replays, Op::Write { key, value }) => {
                state.replays.push(Replay {
                    key: key.clone(),
                    value: value.clone(),
                    was_read: false,
                });
                Outcome::Unknown("no answer".to_owned())
            }
            _ => Outcome::Done(answer),
        }
    }

    async fn watch(&self, prefix: &str, begin: &Position) -> Result<Changes, String> {
        let Position::From(from) = begin else {
            return Err("it gives no ids".to_owned());
        };
        // What was logged first is revision 1.
        let log = self.state.lock().log.clone();
        let prefix = prefix.to_owned();
        let under = move |change: &Change| matches!(change, Change::Key { key, .. } if key.starts_with(&prefix));
        let from = usize::try_from(from.saturating_sub(1)).unwrap_or(0);
        let changes = log.into_iter().skip(from).flat_map(move |revision| {
            let mut changes: Vec<_> = revision.into_iter().filter(&under).collect();
            if let Some(Change::Key {
                whole, resume, revision, ..
            }) = changes.last_mut()
            {
                (*whole, *resume) = (true, Some(Position::From(*revision + 1)));
            }
            changes
        });
        let end = [Change::Broken("what was there is told".to_owned())];
        Ok(stream::iter(changes.chain(end)).boxed())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_a_store_is_found_and_a_store_without_faults_is_accepted() {
    let faults = [
        Fault::None,
        Fault::StaleReads,
        Fault::LostWrites,
        Fault::BlindSwaps,
        Fault::FalseRefusals,
        Fault::MissedChanges,
        Fault::Replays,
    ];
    for fault in faults {
        let title = format!("a store in memory: {fault:?}");
        let target = Broken::with(fault);
        let history = run(&title, &[target], Duration::from_secs(2), async {}).await;
        let judgement = judged(&history);
        assert_eq!(judgement.is_violation(), fault != Fault::None, "{title}");
        let order_alone = !judgement.report.violations.is_empty();
        match fault {
            Fault::None => assert!(judgement.is_proven()),
            Fault::MissedChanges => assert!(!order_alone && !judgement.watches.is_empty()),
            _ => assert!(order_alone, "the order alone shows it: {title}"),
        }
    }
}
