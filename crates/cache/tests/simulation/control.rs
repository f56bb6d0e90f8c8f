//! The control store: who is registered, and the ring record. Every node learns of it with a delay of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use api::member::{Member, RingRecord};
use api::{BootId, Epoch, NodeId};
use async_trait::async_trait;
use cache::Rings;
use cluster::Routing;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::freeze::Freeze;
use super::watched::Watched;
use super::world::{Place, World};

/// Life of a lease that is not kept alive.
pub(crate) const LEASE: Duration = Duration::from_secs(4);

/// What the store says, and every state it was in.
pub(crate) struct Control {
    state: Mutex<State>,
    revisions: Watched<usize>,
}

#[derive(Default)]
struct State {
    record: Option<RingRecord>,
    registered: BTreeMap<NodeId, (Member, Instant)>,
    last_known: BTreeMap<NodeId, Member>,
    drains: BTreeMap<NodeId, BootId>,
    rebalance: bool,
    log: Vec<Arc<Routing>>,
}

impl Control {
    pub(crate) fn new() -> Self {
        let state = State {
            log: vec![Arc::default()],
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            revisions: Watched::new(0),
        }
    }

    pub(crate) fn record(&self) -> Option<RingRecord> {
        self.state.lock().record.clone()
    }

    /// The ring as it is now.
    pub(crate) fn routing(&self) -> Arc<Routing> {
        Arc::clone(self.state.lock().log.last().expect("there is a first state"))
    }

    pub(crate) fn registered(&self) -> BTreeMap<NodeId, Member> {
        let state = self.state.lock();
        state
            .registered
            .iter()
            .map(|(id, (member, _))| (id.clone(), member.clone()))
            .collect()
    }

    pub(crate) fn drains(&self) -> BTreeMap<NodeId, BootId> {
        self.state.lock().drains.clone()
    }

    pub(crate) fn rebalance(&self) -> bool {
        self.state.lock().rebalance
    }

    /// A lease is kept alive, or begins.
    pub(crate) fn register(&self, member: Member) {
        let mut state = self.state.lock();
        let now = Instant::now();
        let known = state.registered.insert(member.id.clone(), (member.clone(), now));
        if known.is_none_or(|(known, _)| known != member) {
            state.last_known.insert(member.id.clone(), member);
            self.publish(&mut state);
        }
    }

    /// A process that ends in order takes its registration along.
    pub(crate) fn deregister(&self, id: &NodeId) {
        let mut state = self.state.lock();
        state.registered.remove(id);
        self.publish(&mut state);
    }

    /// Ends the leases that were not kept alive.
    pub(crate) fn expire_leases(&self) {
        let now = Instant::now();
        self.state
            .lock()
            .registered
            .retain(|_, (_, kept)| now.duration_since(*kept) < LEASE);
    }

    pub(crate) fn ask_drain(&self, id: NodeId, boot_id: BootId) {
        self.state.lock().drains.insert(id, boot_id);
    }

    pub(crate) fn ask_rebalance(&self) {
        self.state.lock().rebalance = true;
    }

    /// Removes requests.
    pub(crate) fn dismiss(&self, drains: &[NodeId], rebalance: bool) {
        let mut state = self.state.lock();
        state.drains.retain(|id, _| !drains.contains(id));
        state.rebalance &= !rebalance;
    }

    /// The leader writes the next record.
    pub(crate) fn write(&self, record: RingRecord) {
        let mut state = self.state.lock();
        let before = state.record.as_ref().map_or(0, |record| record.epoch.0);
        assert_eq!(record.epoch.0, before + 1, "epochs grow by one");
        state.record = Some(record);
        self.publish(&mut state);
    }

    fn publish(&self, state: &mut State) {
        let Some(record) = &state.record else { return };
        let routing = Routing::new(record, &state.last_known);
        if state.log.last().is_none_or(|last| **last != routing) {
            state.log.push(Arc::new(routing));
            self.revisions.modify(|revision| *revision = state.log.len() - 1);
        }
    }

    fn at(&self, revision: usize) -> Arc<Routing> {
        Arc::clone(&self.state.lock().log[revision])
    }
}

/// The ring as one node knows it.
pub(crate) struct NodeRings {
    world: Arc<World>,
    place: Place,
    freeze: Arc<Freeze>,
    known: Watched<(usize, Arc<Routing>)>,
}

impl NodeRings {
    pub(crate) fn new(world: &Arc<World>, place: Place, freeze: &Arc<Freeze>) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            place,
            freeze: Arc::clone(freeze),
            known: Watched::new((0, Arc::default())),
        })
    }

    /// Learns of every change, some time after it was made.
    pub(crate) async fn follow(self: Arc<Self>) {
        let revisions = &self.world.control.revisions;
        loop {
            let known = self.known.borrow().0;
            revisions.until(|latest| *latest > known).await;
            {
                let random = &self.world.random;
                let delay = if random.chance(100) {
                    random.millis(50, 600)
                } else {
                    random.millis(1, 15)
                };
                tokio::time::sleep(delay).await;
                self.world.control_reachable(self.place).await;
                let known = self.known.borrow().0;
                let latest = *revisions.borrow();
                if latest > known {
                    let next = if self.world.random.chance(300) { known + 1 } else { latest };
                    self.learn(next);
                }
            }
        }
    }

    fn learn(&self, revision: usize) {
        let routing = self.world.control.at(revision);
        self.known.modify(|known| {
            if known.0 >= revision {
                return;
            }
            if known.1.epoch() > routing.epoch() {
                self.world
                    .fail(format!("{} went back to epoch {}", self.place, routing.epoch()));
            }
            *known = (revision, routing);
        });
    }
}

impl fmt::Debug for NodeRings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rings of {}", self.place)
    }
}

#[async_trait]
impl Rings for NodeRings {
    fn routing(&self) -> Arc<Routing> {
        Arc::clone(&self.known.borrow().1)
    }

    fn is_current(&self, routing: &Arc<Routing>) -> bool {
        Arc::ptr_eq(&self.known.borrow().1, routing)
    }

    async fn changed(&self, routing: &Arc<Routing>) {
        self.known.until(|known| !Arc::ptr_eq(&known.1, routing)).await;
        self.freeze.running().await;
    }

    async fn catch_up(&self, epoch: Epoch) {
        /// After this long a silent store is given up.
        const PATIENCE: Duration = Duration::from_secs(1);
        if self.known.borrow().1.epoch() >= epoch {
            return;
        }
        tokio::time::sleep(self.world.random.millis(1, 10)).await;
        let reached = tokio::time::timeout(PATIENCE, self.world.control_reachable(self.place)).await;
        self.freeze.running().await;
        if reached.is_ok() {
            let latest = *self.world.control.revisions.borrow();
            self.learn(latest);
        }
    }
}
