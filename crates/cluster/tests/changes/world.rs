//! A model of auxiliaries that obey the phases: they serve one epoch at a time, copy, sync, and drop what is not theirs.

use std::collections::{BTreeMap, BTreeSet};

use api::member::{Member, Phase, RingRecord, Role};
use api::{BootId, NodeId};
use cluster::{NodeIndex, Routing, Source};
use fastrand::Rng;
use hash_ring::hash_key;

pub(crate) const KEYS: usize = 48;

/// One process.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) member: Member,
    pub(crate) alive: bool,
    /// Whether its lease is there, which may outlive it.
    pub(crate) registered: bool,
    /// Whether the leader can reach it.
    pub(crate) cut_off: bool,
    /// The epoch it serves; 0 for none.
    pub(crate) epoch: u64,
    /// Keys it has compared at that epoch.
    compared: BTreeSet<usize>,
    /// Versions held, by key.
    pub(crate) data: BTreeMap<usize, u64>,
}

/// Everything there is, apart from the leader's memory.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    /// Pairs that cannot reach each other, the lesser name first.
    pub(crate) cuts: BTreeSet<(NodeId, NodeId)>,
    pub(crate) record: Option<RingRecord>,
    pub(crate) rings: BTreeMap<u64, Routing>,
    pub(crate) hashes: Vec<u64>,
    /// The newest acknowledged version of each key; none when it has none, or was lost with all its holders.
    pub(crate) acknowledged: Vec<Option<u64>>,
    next_version: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            nodes: BTreeMap::new(),
            cuts: BTreeSet::new(),
            record: None,
            rings: BTreeMap::new(),
            hashes: (0..KEYS).map(|n| hash_key("", &format!("key-{seed}-{n}"))).collect(),
            acknowledged: vec![None; KEYS],
            next_version: 0,
        }
    }

    /// A process begins, with the outdated part of what the last one of its name held: its backup.
    pub(crate) fn start(&mut self, name: &str, zone: Option<String>) {
        let id = NodeId::try_new(name).expect("valid");
        let before = self.nodes.get(&id).map(|node| node.data.clone()).unwrap_or_default();
        let kept = before.into_iter().filter(|_| self.rng.bool()).collect();
        let member = Member {
            id: id.clone(),
            role: Role::Auxiliary,
            boot_id: BootId::new_random(),
            address: format!("{name}:3001"),
            public_address: None,
            zone,
            weight: 1,
            started_at_ms: 0,
            version: String::new(),
        };
        let node = Node {
            member,
            alive: true,
            registered: true,
            cut_off: false,
            epoch: 0,
            compared: BTreeSet::new(),
            data: kept,
        };
        self.nodes.insert(id, node);
    }

    /// A process ends at once; its lease does not.
    pub(crate) fn kill(&mut self, id: &NodeId) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.alive = false;
        }
    }

    /// Takes note of a new record.
    pub(crate) fn write_record(&mut self, record: RingRecord) {
        self.rings.insert(record.epoch.0, Routing::new(&record, &BTreeMap::new()));
        self.record = Some(record);
    }

    pub(crate) fn routing(&self) -> Option<&Routing> {
        self.rings.last_key_value().map(|(_, routing)| routing)
    }

    /// The process that is a node of a ring, if that life lives.
    pub(crate) fn life(&self, routing: &Routing, index: NodeIndex) -> Option<&Node> {
        let node = self.nodes.get(routing.name(index)?)?;
        let is = routing.index_of(&node.member.id, node.member.boot_id) == Some(index);
        (is && node.alive).then_some(node)
    }

    pub(crate) fn reach(&self, a: &NodeId, b: &NodeId) -> bool {
        !self.cuts.contains(&(a.min(b).clone(), a.max(b).clone()))
    }

    /// A node learns the newest record, unless it cannot reach the store.
    pub(crate) fn adopt(&mut self, id: &NodeId) {
        let Some((epoch, routing)) = self.rings.last_key_value() else {
            return;
        };
        let Some(node) = self
            .nodes
            .get_mut(id)
            .filter(|node| node.alive && node.registered && node.epoch != *epoch)
        else {
            return;
        };
        node.epoch = *epoch;
        node.compared.clear();
        if routing.record().phase == Phase::Stable {
            let me = routing.index_of(id, node.member.boot_id);
            let hashes = &self.hashes;
            node.data
                .retain(|key, _| me.is_some_and(|me| routing.duty(me, hashes[*key]).is_some()));
        }
    }

    /// A node compares one key with whom it must.
    pub(crate) fn sync(&mut self, id: &NodeId, key: usize) {
        let Some(node) = self.nodes.get(id).filter(|node| node.alive) else {
            return;
        };
        let Some(routing) = self.rings.get(&node.epoch) else {
            return;
        };
        let Some(me) = routing.index_of(id, node.member.boot_id) else {
            return;
        };
        let usable = |index| {
            let other = self.life(routing, index)?;
            (other.epoch == node.epoch && self.reach(id, &other.member.id)).then_some(other)
        };
        let held = node.data.get(&key).copied();
        let fetched = match routing.source(me, self.hashes[key]) {
            Source::Here => held,
            Source::Primary(primary) => match usable(primary) {
                Some(primary) => primary.data.get(&key).copied(),
                None => return,
            },
            Source::Everybody => {
                let mut newest = held;
                for other in routing.members().filter(|other| *other != me) {
                    match usable(other) {
                        Some(other) => newest = newest.max(other.data.get(&key).copied()),
                        None => return,
                    }
                }
                newest
            }
        };
        let node = self.nodes.get_mut(id).expect("just seen");
        node.compared.insert(key);
        match fetched {
            Some(version) => drop(node.data.insert(key, version)),
            None => drop(node.data.remove(&key)),
        }
    }

    /// Keys a node has not compared at its epoch.
    pub(crate) fn to_compare(&self, id: &NodeId) -> Vec<usize> {
        let node = &self.nodes[id];
        (0..KEYS).filter(|key| !node.compared.contains(key)).collect()
    }

    /// Whether a node says that it holds all it must.
    pub(crate) fn is_synced(&self, node: &Node) -> bool {
        node.compared.len() == KEYS
    }

    /// Whether the newest record has this life, and not as a lost one.
    pub(crate) fn is_counted_on(&self, id: &NodeId) -> bool {
        let boot_id = self.nodes[id].member.boot_id;
        self.record.as_ref().is_some_and(|record| {
            let layouts = std::iter::once(&record.layout).chain(&record.previous);
            let mut members = layouts.flat_map(|layout| &layout.members);
            members.any(|member| member.boot_id == boot_id && !member.lost)
        })
    }

    /// A master that knows the ring of `epoch` writes a key. All who must have the write take it, or some do and it fails.
    pub(crate) fn write(&mut self, key: usize, epoch: u64) {
        let (fails, some) = (self.rng.u8(..) < 25, self.rng.usize(0..4));
        let Some(routing) = self.rings.get(&epoch) else {
            return;
        };
        let plan = routing.plan(self.hashes[key]);
        let Some(primary) = plan.primary().and_then(|primary| self.life(routing, primary)) else {
            return;
        };
        if primary.epoch != epoch {
            return;
        }
        let first = primary.member.id.clone();
        let (mut takers, mut refused) = (vec![first.clone()], fails);
        for index in plan.copies.iter() {
            match self.life(routing, *index) {
                Some(node) if node.epoch == epoch && self.reach(&first, &node.member.id) => takers.push(node.member.id.clone()),
                _ => refused = true,
            }
        }
        if refused {
            takers.truncate(some);
        }
        // Lives that were all given up meanwhile, and do not know it yet, promise nothing.
        let promised = takers.iter().any(|id| self.is_counted_on(id));
        self.next_version += 1;
        let version = self.next_version;
        for id in takers {
            let node = self.nodes.get_mut(&id).expect("just seen");
            node.data.insert(key, version);
        }
        if promised && !refused {
            self.acknowledged[key] = Some(version);
        }
    }
}
