//! The masters, their processes and disks, and what is known of them from outside.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use fastrand::Rng;
use openraft::rt::WatchReceiver as _;
use parking_lot::Mutex;
use uuid::Uuid;

use super::Mutant;
use super::disk::Platter;
use super::faults::Tally;
use super::network::Weather;
use super::record::Record;
use super::runtime::Process;
use super::trace::Trace;
use super::truth::Truth;
use crate::raft::network::{Answer, Request};
use crate::raft::serve::Endpoint;
use crate::raft::tests::world::member;
use crate::raft::{InitialMember, Member, RaftStore};

/// Longest time for the members to be told.
const ANSWER: Duration = Duration::from_secs(10);

/// A simulated world.
pub(super) struct World {
    pub(super) trace: Trace,
    /// Chance of the network.
    pub(super) rng: Mutex<Rng>,
    pub(super) weather: Mutex<Weather>,
    pub(super) mutant: Option<Mutant>,
    /// What happened so far.
    pub(super) tally: Arc<Tally>,
    /// When a clock jumped, and how far.
    pub(super) jumps: Mutex<Vec<(Duration, Duration)>>,
    pub(super) truth: Mutex<Truth>,
    pub(super) records: Mutex<Vec<Record>>,
    /// What must not have happened.
    pub(super) wrong: Mutex<Vec<String>>,
    /// Set when clients are to begin nothing any more.
    pub(super) over: AtomicBool,
    sequence: AtomicU64,
    pub(super) masters: Mutex<BTreeMap<String, Master>>,
    pub(super) initial: Vec<InitialMember>,
    pub(super) dir: PathBuf,
    pub(super) size: Size,
    /// A master that has lost its disk, and the id of the one it had, for a network that pretends it still has it.
    forged: Mutex<Option<(String, Uuid)>>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("world")
    }
}

/// How soon logs are cut and snapshots made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) snapshot_entries: u64,
    pub(super) keep_entries: u64,
    pub(super) segment_bytes: u64,
}

impl Size {
    fn of(rng: &mut Rng) -> Self {
        Self {
            snapshot_entries: [12, 30, 100][rng.usize(..3)],
            keep_entries: [2, 5, 20][rng.usize(..3)],
            segment_bytes: [2, 8, 64][rng.usize(..3)] * 1024,
        }
    }
}

pub(super) struct Master {
    pub(super) platter: Platter,
    pub(super) incarnation: u32,
    pub(super) process: Option<Arc<Process>>,
    pub(super) endpoint: Weak<Endpoint>,
    pub(super) store: Option<Arc<RaftStore>>,
    /// It was told to keep out, and why.
    pub(super) refused: Option<String>,
    /// Its engine was asked to stop.
    pub(super) stopping: bool,
}

/// A master that answers.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) name: String,
    pub(super) incarnation: u32,
    pub(super) process: Arc<Process>,
    pub(super) store: Arc<RaftStore>,
}

pub(super) fn name_of(address: &str) -> String {
    address.trim_end_matches(":9000").to_owned()
}

impl World {
    pub(super) fn new(seed: u64, size: usize, mutant: Option<Mutant>, told: bool, dir: &Path) -> Arc<Self> {
        let names = (1..=size).map(|number| format!("m{number}"));
        let mut rng = Rng::with_seed(seed);
        Arc::new(Self {
            trace: Trace::new(told, dir.display().to_string()),
            size: Size::of(&mut rng),
            rng: Mutex::new(rng),
            weather: Mutex::default(),
            mutant,
            tally: Arc::default(),
            jumps: Mutex::default(),
            truth: Mutex::default(),
            records: Mutex::default(),
            wrong: Mutex::default(),
            over: AtomicBool::new(false),
            sequence: AtomicU64::new(1),
            masters: Mutex::default(),
            initial: names.map(|name| member(&name)).collect(),
            dir: dir.to_owned(),
            forged: Mutex::default(),
        })
    }

    /// Moments in the order in which they are asked for.
    pub(super) fn moment(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(super) fn complain(&self, text: String) {
        self.trace.note(format_args!("WRONG: {text}"));
        self.wrong.lock().push(text);
    }

    pub(super) fn initial_names(&self) -> Vec<String> {
        self.initial.iter().map(|member| member.name.clone()).collect()
    }

    /// The process that takes a master's calls.
    pub(super) fn listening(&self, name: &str) -> Option<(Arc<Process>, Arc<Endpoint>)> {
        let masters = self.masters.lock();
        let master = masters.get(name)?;
        Some((master.process.clone()?, master.endpoint.upgrade()?))
    }

    /// Masters that take clients' calls.
    pub(super) fn running(&self) -> Vec<Running> {
        let masters = self.masters.lock();
        let running = masters.iter().filter_map(|(name, master)| {
            Some(Running {
                name: name.clone(),
                incarnation: master.incarnation,
                process: master.process.clone()?,
                store: master.store.clone()?,
            })
        });
        running.collect()
    }

    /// Masters with a process.
    pub(super) fn alive(&self) -> Vec<String> {
        let masters = self.masters.lock();
        masters
            .iter()
            .filter(|(_, master)| master.process.is_some())
            .map(|(name, _)| name.clone())
            .collect()
    }

    pub(super) fn process(&self, name: &str) -> Option<Arc<Process>> {
        self.masters.lock().get(name).and_then(|master| master.process.clone())
    }

    pub(super) fn refused(&self, name: &str) -> Option<String> {
        self.masters.lock().get(name).and_then(|master| master.refused.clone())
    }

    pub(super) fn platters(&self) -> Vec<Platter> {
        self.masters.lock().values().map(|master| master.platter.clone()).collect()
    }

    /// The members as the raft leader sees them, if anybody can say.
    pub(super) async fn members(&self) -> Option<Vec<Member>> {
        for master in self.running() {
            let store = Arc::clone(&master.store);
            let asked = master.process.spawn(async move { store.members().await });
            if let Ok(Ok(Ok(members))) = tokio::time::timeout(ANSWER, asked).await {
                return Some(members);
            }
        }
        None
    }

    /// Whether all masters that run go by the same entry about the members.
    pub(super) fn agrees_on_members(&self) -> bool {
        let running = self.running();
        let mut entries = running.iter().map(|master| {
            let metrics = master.store.raft.metrics();
            let metrics = metrics.borrow_watched();
            *metrics.membership_config.log_id()
        });
        let first = entries.next();
        entries.all(|entry| Some(entry) == first)
    }

    pub(super) fn platter(&self, name: &str) -> Option<Platter> {
        self.masters.lock().get(name).map(|master| master.platter.clone())
    }

    /// Takes a dead master's disk away.
    pub(super) fn wipe(&self, name: &str) {
        self.trace.note(format_args!("{name} loses its disk"));
        if let Some(platter) = self.platter(name) {
            platter.wipe();
        }
    }

    /// Keeps in mind which disk a master has, for the mutant that pretends it has not lost it.
    pub(super) fn remember_disk(&self, name: &str) {
        if self.mutant == Some(Mutant::ForgedStores)
            && let Some((_, endpoint)) = self.listening(name)
        {
            *self.forged.lock() = Some((name.to_owned(), endpoint.identity.store()));
        }
    }

    pub(super) fn forge_request(&self, from: &str, request: &mut Request) {
        if let Some((name, store)) = &*self.forged.lock()
            && name == from
        {
            request.store = *store;
        }
    }

    pub(super) fn forge_answer(&self, from: &str, answer: &mut Answer) {
        if let Some((name, store)) = &*self.forged.lock()
            && name == from
        {
            answer.store = *store;
        }
    }
}

/// Waits for a condition, on the simulated clock.
pub(super) async fn within(limit: Duration, mut holds: impl AsyncFnMut() -> bool) -> bool {
    let until = tokio::time::Instant::now() + limit;
    loop {
        if holds().await {
            return true;
        }
        if tokio::time::Instant::now() >= until {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
