//! A control store in memory, on tokio's clock (so that a paused one makes leases pass in no time), which can fall silent.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod master;
pub(crate) mod peer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::member::{Member, Role};
use api::{BootId, NodeId};
use async_trait::async_trait;
use control::{
    Compare, Consistency, ControlStore, Error, Event, KeyValue, Lease, LeaseId, Op, OpResult, Range, RangeResponse, Result,
    Revision, Txn, TxnResponse, Watch,
};
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

#[derive(Debug, Default)]
struct State {
    keys: BTreeMap<String, KeyValue>,
    leases: BTreeMap<LeaseId, (Duration, Instant)>,
    revision: Revision,
    history: Vec<Event>,
    compacted: Revision,
    next_lease: i64,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    written: watch::Sender<Revision>,
}

/// One node's way to the store; each can be cut by itself.
#[derive(Debug)]
pub(crate) struct Fake {
    shared: Arc<Shared>,
    silent: AtomicBool,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        let shared = Shared {
            state: Mutex::default(),
            written: watch::Sender::new(0),
        };
        Arc::new(Self {
            shared: Arc::new(shared),
            silent: AtomicBool::new(false),
        })
    }

    /// The same store for another node.
    pub(crate) fn another(&self) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::clone(&self.shared),
            silent: AtomicBool::new(false),
        })
    }

    /// Cuts this node off, or not.
    pub(crate) fn silence(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    /// Ends every lease now.
    pub(crate) fn expire_all(&self) {
        let mut state = self.shared.state.lock();
        let all: Vec<LeaseId> = state.leases.keys().copied().collect();
        all.into_iter().for_each(|lease| state.end(lease));
        self.shared.written.send_replace(state.revision);
    }

    /// Loses everything: keys and leases.
    pub(crate) fn lose(&self) {
        let mut state = self.shared.state.lock();
        state.leases.clear();
        for key in std::mem::take(&mut state.keys).into_keys() {
            state.revision += 1;
            let revision = state.revision;
            state.history.push(Event::Delete { key, revision });
        }
        self.shared.written.send_replace(state.revision);
    }

    /// Forgets history up to now.
    pub(crate) fn compact(&self) {
        let mut state = self.shared.state.lock();
        state.compacted = state.revision;
        state.history.clear();
    }

    fn state(&self) -> Result<parking_lot::MutexGuard<'_, State>> {
        if self.silent.load(Ordering::SeqCst) {
            return Err(Error::Unavailable("cut off by the test".to_owned()));
        }
        let mut state = self.shared.state.lock();
        let now = Instant::now();
        let over: Vec<LeaseId> = state
            .leases
            .iter()
            .filter(|(_, (_, until))| *until <= now)
            .map(|(id, _)| *id)
            .collect();
        if !over.is_empty() {
            over.into_iter().for_each(|lease| state.end(lease));
            self.shared.written.send_replace(state.revision);
        }
        Ok(state)
    }
}

impl State {
    fn end(&mut self, lease: LeaseId) {
        self.leases.remove(&lease);
        let doomed: Vec<String> = self
            .keys
            .values()
            .filter(|kv| kv.lease == Some(lease))
            .map(|kv| kv.key.clone())
            .collect();
        for key in doomed {
            self.revision += 1;
            self.keys.remove(&key);
            self.history.push(Event::Delete {
                key,
                revision: self.revision,
            });
        }
    }

    fn range(&self, range: &Range) -> RangeResponse {
        let items = self
            .keys
            .values()
            .filter(|kv| kv.key.starts_with(&range.prefix))
            .cloned()
            .collect();
        RangeResponse {
            items,
            more: false,
            revision: self.revision,
        }
    }

    fn holds(&self, compare: &Compare) -> bool {
        match compare {
            Compare::Exists(key) => self.keys.contains_key(key),
            Compare::Absent(key) => !self.keys.contains_key(key),
            Compare::CreateRevision(key, at) => self.keys.get(key).is_some_and(|kv| kv.create_revision == *at),
            Compare::ModRevision(key, at) => self.keys.get(key).is_some_and(|kv| kv.mod_revision == *at),
            Compare::Value(key, value) => self.keys.get(key).is_some_and(|kv| kv.value == *value),
        }
    }

    fn run(&mut self, op: &Op) -> OpResult {
        match op {
            Op::Put { key, value, lease } => {
                let old = self.keys.get(key);
                let entry = KeyValue {
                    key: key.clone(),
                    value: value.clone(),
                    create_revision: old.map_or(self.revision, |kv| kv.create_revision),
                    mod_revision: self.revision,
                    version: old.map_or(1, |kv| kv.version + 1),
                    lease: *lease,
                };
                self.keys.insert(key.clone(), entry.clone());
                self.history.push(Event::Put(entry));
                OpResult::Put
            }
            Op::Delete { key } => {
                let existed = self.keys.remove(key).is_some();
                if existed {
                    self.history.push(Event::Delete {
                        key: key.clone(),
                        revision: self.revision,
                    });
                }
                OpResult::Deleted(u64::from(existed))
            }
            Op::Get { key } => {
                let items = self.keys.get(key).cloned().into_iter().collect();
                OpResult::Range(RangeResponse {
                    items,
                    more: false,
                    revision: self.revision,
                })
            }
            other => panic!("{other:?} is not used here"),
        }
    }
}

#[async_trait]
impl ControlStore for Fake {
    async fn range(&self, range: Range, _: Consistency) -> Result<RangeResponse> {
        Ok(self.state()?.range(&range))
    }

    async fn txn(&self, txn: Txn) -> Result<TxnResponse> {
        let mut state = self.state()?;
        let succeeded = txn.compares.iter().all(|compare| state.holds(compare));
        let branch = if succeeded { &txn.then } else { &txn.otherwise };
        for op in branch {
            if let Op::Put { lease: Some(lease), .. } = op
                && !state.leases.contains_key(lease)
            {
                return Err(Error::LeaseNotFound);
            }
        }
        if branch.iter().any(|op| matches!(op, Op::Put { .. } | Op::Delete { .. })) {
            state.revision += 1;
        }
        let results = branch.iter().map(|op| state.run(op)).collect();
        self.shared.written.send_replace(state.revision);
        Ok(TxnResponse {
            succeeded,
            revision: state.revision,
            results,
        })
    }

    async fn lease_grant(&self, ttl: Duration) -> Result<Lease> {
        let mut state = self.state()?;
        state.next_lease += 1;
        let id = LeaseId(state.next_lease);
        state.leases.insert(id, (ttl, Instant::now() + ttl));
        let (written, shared) = (self.shared.written.clone(), Arc::clone(&self.shared));
        tokio::spawn(async move {
            loop {
                let Some((_, until)) = shared.state.lock().leases.get(&id).copied() else {
                    return;
                };
                tokio::time::sleep_until(until).await;
                let mut state = shared.state.lock();
                if state.leases.get(&id).is_some_and(|(_, until)| *until <= Instant::now()) {
                    state.end(id);
                    written.send_replace(state.revision);
                }
            }
        });
        Ok(Lease { id, ttl })
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<Duration> {
        let mut state = self.state()?;
        let (ttl, until) = state.leases.get_mut(&lease).ok_or(Error::LeaseNotFound)?;
        *until = Instant::now() + *ttl;
        Ok(*ttl)
    }

    async fn revoke(&self, lease: LeaseId) -> Result<()> {
        let mut state = self.state()?;
        if !state.leases.contains_key(&lease) {
            return Err(Error::LeaseNotFound);
        }
        state.end(lease);
        self.shared.written.send_replace(state.revision);
        Ok(())
    }

    async fn watch(&self, prefix: String, from: Revision) -> Result<Watch> {
        let from = if from == 0 { self.state()?.revision + 1 } else { from };
        let (shared, written) = (Arc::clone(&self.shared), self.shared.written.subscribe());
        let events = stream::unfold((from, written), move |(from, mut written)| {
            let (shared, prefix) = (Arc::clone(&shared), prefix.clone());
            async move {
                loop {
                    written.borrow_and_update();
                    let found = {
                        let state = shared.state.lock();
                        if from <= state.compacted {
                            let error = Error::Compacted {
                                requested: from,
                                oldest: state.compacted + 1,
                            };
                            return Some((Err(error), (Revision::MAX, written)));
                        }
                        let next = state
                            .history
                            .iter()
                            .find(|event| event.revision() >= from && event.key().starts_with(&prefix));
                        next.map(Event::revision).map(|at| {
                            let same = |event: &&Event| event.revision() == at && event.key().starts_with(&prefix);
                            (at, state.history.iter().filter(same).cloned().collect())
                        })
                    };
                    if let Some((at, events)) = found {
                        return Some((Ok(events), (at + 1, written)));
                    }
                    written.changed().await.ok()?;
                }
            }
        });
        Ok(events.boxed())
    }

    async fn get(&self, key: &str, _: Consistency) -> Result<Option<KeyValue>> {
        Ok(self.state()?.keys.get(key).cloned())
    }
}

pub(crate) fn node(name: &str) -> NodeId {
    NodeId::try_new(name).expect("valid")
}

pub(crate) fn auxiliary(name: &str, address: &str) -> Member {
    Member {
        id: node(name),
        role: Role::Auxiliary,
        boot_id: BootId::new_random(),
        address: address.to_owned(),
        public_address: None,
        zone: None,
        weight: 1,
        started_at_ms: 0,
        version: "0".to_owned(),
    }
}

pub(crate) fn registry() -> prometheus::Registry {
    telemetry::new_registry()
}
