//! Auxiliaries and masters: the real owner and the real front, with tasks that stop when the node is stopped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use api::cache::ReplicaItem;
use api::member::{Member, Role};
use api::{BootId, NodeId};
use cache::front::{Cache, Options as FrontOptions};
use cache::owner::{Identity, Options as OwnerOptions, Owner};
use parking_lot::Mutex;
use store::cache::{Bounds, Policy, Role as EntryRole};
use telemetry::Registry;
use tokio_util::sync::CancellationToken;

use super::control::NodeRings;
use super::freeze::Freeze;
use super::network::Wire;
use super::world::{Place, World};

/// Pause between pings, and how many must fail in a row.
const PING: Duration = Duration::from_millis(500);
const FAILURES: u32 = 2;

/// An auxiliary, dead or alive.
pub(crate) struct Auxiliary {
    pub(crate) weight: u32,
    pub(crate) zone: Option<String>,
    pub(crate) ahead: Arc<AtomicI64>,
    pub(crate) life: Option<Arc<Life>>,
    /// What it held some time ago.
    pub(crate) backup: Vec<Vec<u8>>,
}

/// One life of an auxiliary.
pub(crate) struct Life {
    pub(crate) place: Place,
    pub(crate) id: NodeId,
    pub(crate) boot_id: BootId,
    pub(crate) freeze: Arc<Freeze>,
    pub(crate) owner: Arc<Owner>,
    pub(crate) pings: Arc<Pings>,
    pub(crate) member: Member,
    stop: CancellationToken,
}

/// One life of a master.
#[derive(Clone)]
pub(crate) struct Master {
    pub(crate) place: Place,
    pub(crate) freeze: Arc<Freeze>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) rings: Arc<NodeRings>,
    pub(crate) pings: Arc<Pings>,
    pub(crate) ahead: Arc<AtomicI64>,
}

impl World {
    /// Starts an auxiliary with what a backup of it has, or with nothing.
    pub(crate) fn start_auxiliary(self: &Arc<Self>, number: u8, backup: &[Vec<u8>]) {
        let place = Place::Auxiliary(number);
        let (id, boot_id, freeze) = (place.id(), self.new_life(), Freeze::new());
        let (weight, zone, ahead) = {
            let auxiliaries = self.auxiliaries.lock();
            let slot = &auxiliaries[&number];
            (slot.weight, slot.zone.clone(), Arc::clone(&slot.ahead))
        };
        let store = Arc::new(store::cache::Cache::new(Bounds {
            entries: 4096,
            bytes: 64 << 20,
            policy: Policy::default(),
        }));
        for item in backup {
            let item: ReplicaItem<'_> = postcard::from_bytes(item).expect("a backup made here");
            store.apply(&item, EntryRole::Replica, self.now_ms());
        }
        let rings = NodeRings::new(self, place, &freeze);
        let wire = Wire::new(self, place, &freeze);
        let options = OwnerOptions {
            offload: false,
            ..OwnerOptions::default()
        };
        let me = Identity { id: id.clone(), boot_id };
        let owner = Owner::new(
            me,
            store,
            wire,
            Arc::clone(&rings) as _,
            self.clock(&ahead),
            options,
            &Registry::new(),
        );
        let member = Member {
            id: id.clone(),
            role: Role::Auxiliary,
            boot_id,
            address: format!("{id}:1"),
            public_address: None,
            zone,
            weight,
            started_at_ms: self.now_ms(),
            version: String::new(),
        };
        let (stop, pings) = (CancellationToken::new(), Arc::<Pings>::default());
        self.tell(|| format!("{place} starts as {boot_id} with {} items", backup.len()));
        self.spawn(&freeze, Arc::clone(&rings).follow());
        self.spawn(&freeze, {
            let (owner, stop) = (Arc::clone(&owner), stop.clone());
            async move { owner.follow(stop).await }
        });
        self.spawn(&freeze, Arc::clone(&owner).sync(stop.clone()));
        self.spawn(&freeze, ping(Arc::clone(self), place, Arc::clone(&pings)));
        self.spawn(&freeze, keep_lease(Arc::clone(self), place, member.clone()));
        let life = Life {
            place,
            id,
            boot_id,
            freeze,
            owner,
            pings,
            member,
            stop,
        };
        if let Some(slot) = self.auxiliaries.lock().get_mut(&number) {
            slot.life = Some(Arc::new(life));
        }
    }

    /// Kills an auxiliary: what it held is gone.
    pub(crate) fn kill_auxiliary(&self, number: u8) {
        let life = self.auxiliaries.lock().get_mut(&number).and_then(|slot| slot.life.take());
        if let Some(life) = life {
            self.tell(|| format!("{} is killed", life.place));
            life.freeze.kill();
            life.stop.cancel();
        }
    }

    /// Starts a master, or starts it anew.
    pub(crate) fn start_master(self: &Arc<Self>, number: u8, ahead: &Arc<AtomicI64>) {
        let (place, freeze) = (Place::Master(number), Freeze::new());
        let rings = NodeRings::new(self, place, &freeze);
        let wire = Wire::new(self, place, &freeze);
        let cache = Cache::new(
            wire,
            Arc::clone(&rings) as _,
            self.clock(ahead),
            FrontOptions::default(),
            &Registry::new(),
        );
        let pings = Arc::<Pings>::default();
        self.spawn(&freeze, Arc::clone(&rings).follow());
        self.spawn(&freeze, ping(Arc::clone(self), place, Arc::clone(&pings)));
        let master = Master {
            place,
            freeze,
            cache: Arc::new(cache),
            rings,
            pings,
            ahead: Arc::clone(ahead),
        };
        self.tell(|| format!("{place} starts"));
        if let Some(before) = self.masters.lock().insert(number, master) {
            before.freeze.kill();
        }
    }

    pub(crate) fn life(&self, number: u8) -> Option<Arc<Life>> {
        self.auxiliaries.lock().get(&number)?.life.clone()
    }

    /// Every auxiliary that lives, stopped or not.
    pub(crate) fn lives(&self) -> Vec<Arc<Life>> {
        self.auxiliaries
            .lock()
            .values()
            .filter_map(|slot| slot.life.clone())
            .collect()
    }

    pub(crate) fn master(&self, number: u8) -> Master {
        self.masters.lock()[&number].clone()
    }

    fn spawn(&self, freeze: &Arc<Freeze>, work: impl Future<Output = ()> + Send + 'static) {
        let freeze = Arc::clone(freeze);
        tokio::spawn(async move { freeze.run(work).await });
    }
}

impl Life {
    pub(crate) const fn number(&self) -> Option<u8> {
        match self.place {
            Place::Auxiliary(number) => Some(number),
            _ => None,
        }
    }

    /// What it holds, as a backup would have it.
    pub(crate) fn back_up(&self) -> Vec<Vec<u8>> {
        let mut items = BTreeMap::new();
        self.owner.store().for_each(|record| {
            let item = postcard::to_stdvec(&record.to_item()).expect("an item that travels");
            items.insert(record.hash(), item);
        });
        items.into_values().collect()
    }
}

/// Pings that failed in a row, by auxiliary and life.
pub(crate) type Pings = Mutex<BTreeMap<NodeId, (BootId, u32)>>;

/// Pings all auxiliaries for ever.
async fn ping(world: Arc<World>, me: Place, pings: Arc<Pings>) {
    loop {
        tokio::time::sleep(PING).await;
        let registered = world.control.registered();
        pings.lock().retain(|id, _| registered.contains_key(id));
        for (id, member) in registered.into_iter().filter(|(id, _)| Place::of(id) != me) {
            let place = Place::of(&id);
            let answers = world.talks(me, place) && world.is_running(place);
            let mut pings = pings.lock();
            let (life, failed) = pings.entry(id).or_insert((member.boot_id, 0));
            if *life != member.boot_id || answers {
                (*life, *failed) = (member.boot_id, 0);
            }
            *failed += u32::from(!answers);
        }
    }
}

impl World {
    /// Auxiliaries that failed to answer twice in a row; of earlier lives nothing is said.
    pub(crate) fn unreachable(&self, pings: &Pings) -> Vec<NodeId> {
        let registered = self.control.registered();
        let is_silent = |(id, (life, failed)): &(&NodeId, &(BootId, u32))| {
            *failed >= FAILURES && registered.get(*id).is_some_and(|member| member.boot_id == *life)
        };
        pings.lock().iter().filter(is_silent).map(|(id, _)| id.clone()).collect()
    }
}

/// Keeps a node registered while it reaches the control store.
async fn keep_lease(world: Arc<World>, place: Place, member: Member) {
    loop {
        world.control_reachable(place).await;
        world.control.register(member.clone());
        tokio::time::sleep(super::control::LEASE / 4).await;
    }
}

impl World {
    /// Notes who is out of the ring, before another one is written.
    pub(crate) fn note_lost(&self) {
        let now_us = self.now().as_micros() as u64;
        for life in self.lives().iter().filter(|life| self.is_lost(life.id.as_str())) {
            self.last_out.lock().insert(life.id.as_str().to_owned(), now_us);
        }
    }

    /// Whether an auxiliary has been out of the ring since then: it may have answered by a ring that was over.
    pub(crate) fn was_lost_since(&self, id: &str, since_us: u64) -> bool {
        self.is_lost(id) || self.last_out.lock().get(id).is_some_and(|until| *until >= since_us)
    }

    /// Whether an auxiliary is none in the ring that is in force.
    fn is_lost(&self, id: &str) -> bool {
        let routing = self.control.routing();
        let lives = self.lives().into_iter().filter(|life| life.id.as_str() == id);
        !lives.into_iter().any(|life| routing.serves(&life.id, life.boot_id))
    }

    /// Whether a node answers pings.
    pub(crate) fn is_running(&self, place: Place) -> bool {
        match place {
            Place::Auxiliary(number) => self.life(number).is_some_and(|life| life.freeze.is_running()),
            Place::Master(number) => self
                .masters
                .lock()
                .get(&number)
                .is_some_and(|master| master.freeze.is_running()),
            Place::Leader => true,
        }
    }

    /// Sets a clock ahead or back.
    pub(crate) fn shift_clock(&self, ahead: &AtomicI64, micros: i64) {
        ahead.store(micros, Ordering::Relaxed);
    }
}
