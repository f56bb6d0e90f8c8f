//! Leases: what was promised of each, and whether it was kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use parking_lot::Mutex;

use super::truth::Truth;
use super::world::World;
use crate::ControlStore as _;
use crate::error::Error;
use crate::types::{Event, LeaseId, Op, Txn};

/// Where keys with leases are.
pub(super) const PREFIX: &str = "lease/";

/// What was promised of a key, on the simulated clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promise {
    /// When it was asked for.
    asked: Duration,
    /// It is there until then, or until a clock that has jumped meanwhile says that it is then.
    until: Duration,
}

/// The promises by key.
pub(super) type Promises = Arc<Mutex<BTreeMap<String, Promise>>>;

impl Promise {
    fn new(asked: Duration, ttl: Duration) -> Self {
        let until = asked + ttl;
        Self { asked, until }
    }

    /// Whether it is broken when the key is gone.
    fn is_broken(&self, gone: Duration, jumps: &[(Duration, Duration)]) -> bool {
        let meanwhile = jumps.iter().filter(|(at, _)| (self.asked..=gone).contains(at));
        gone + meanwhile.map(|(_, jump)| *jump).sum::<Duration>() < self.until
    }
}

/// Somebody who holds leases, one at a time, and lets each of them end.
pub(super) struct Holder {
    pub(super) world: Arc<World>,
    pub(super) rng: Rng,
    pub(super) number: u32,
    pub(super) promises: Promises,
}

/// What there is to do with a lease.
#[derive(Debug, Clone, Copy)]
enum Step {
    Grant(Duration),
    Bind(LeaseId),
    Keep(LeaseId),
}

impl Holder {
    pub(super) async fn run(mut self) {
        let mut leases = 0;
        while !self.world.is_over() {
            leases += 1;
            let key = format!("{PREFIX}{}-{leases}", self.number);
            self.hold(&key).await;
            tokio::time::sleep(Duration::from_millis(self.rng.u64(100..900))).await;
        }
    }

    async fn hold(&mut self, key: &str) {
        let ttl = Duration::from_millis(self.rng.u64(800..4_000));
        let Some((Ok(Some(lease)), asked)) = self.ask(Step::Grant(ttl), key).await else {
            return;
        };
        self.promises.lock().insert(key.to_owned(), Promise::new(asked, ttl));
        match self.ask(Step::Bind(lease), key).await {
            Some((Ok(_), _)) => {}
            Some((Err(Error::LeaseNotFound), _)) => return self.expect_end(key),
            _ => return,
        }
        for _ in 0..self.rng.u32(..6) {
            tokio::time::sleep(ttl.mul_f64(self.rng.f64() * 0.8)).await;
            match self.ask(Step::Keep(lease), key).await {
                Some((Ok(_), asked)) => {
                    self.promises.lock().insert(key.to_owned(), Promise::new(asked, ttl));
                }
                Some((Err(Error::LeaseNotFound), _)) => return self.expect_end(key),
                _ => {}
            }
        }
    }

    /// The lease is gone, which must not be yet while it is promised.
    fn expect_end(&self, key: &str) {
        let Some(promised) = self.promises.lock().get(key).copied() else {
            return;
        };
        if promised.is_broken(self.world.trace.now(), &self.world.jumps.lock()) {
            self.world
                .complain(format!("of {key} there was a {promised:?}, and its lease is gone"));
        }
    }

    /// The answer, and when it was asked for.
    async fn ask(&mut self, step: Step, key: &str) -> Option<(Result<Option<LeaseId>, Error>, Duration)> {
        let running = self.world.running();
        if running.is_empty() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            return None;
        }
        let master = running[self.rng.usize(..running.len())].clone();
        let asked = self.world.trace.now();
        let (store, key) = (Arc::clone(&master.store), key.to_owned());
        let asking = master.process.spawn(async move {
            match step {
                Step::Grant(ttl) => store.lease_grant(ttl).await.map(|lease| Some(lease.id)),
                Step::Keep(lease) => store.keep_alive(lease).await.map(|_| None),
                Step::Bind(lease) => {
                    let put = Op::Put {
                        key,
                        value: Bytes::from_static(b"held"),
                        lease: Some(lease),
                    };
                    let txn = Txn {
                        then: vec![put],
                        ..Txn::default()
                    };
                    store.txn(txn).await.map(|_| None)
                }
            }
        });
        drop(master);
        let told = tokio::time::timeout(Duration::from_secs(8), asking).await.ok()?.ok()?;
        self.world.trace.note(format_args!("lease {step:?} → {told:?}"));
        Some((told, asked))
    }
}

/// Whether each lease lived as long as was promised.
pub(super) fn judge(truth: &Truth, promises: &BTreeMap<String, Promise>, jumps: &[(Duration, Duration)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (revision, events, at) in truth.all() {
        for event in events {
            if let Event::Delete { key, .. } = event
                && let Some(promised) = promises.get(key).filter(|promised| promised.is_broken(at, jumps))
            {
                wrong.push(format!(
                    "of {key} there was a {promised:?}, and it was gone at {at:?} (revision {revision})"
                ));
            }
        }
    }
    wrong
}
