//! The whole system in one place: nodes, network, control store and time, all driven by one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use api::{BootId, NodeId};
use cache::{Clock, Skew};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::control::Control;
use super::model::Model;
use super::mutant::Mutant;
use super::node::{Auxiliary, Master};
use super::random::Random;
use super::watched::Watched;

/// When every run begins, since 1970.
pub(crate) const BEGIN: Duration = Duration::from_secs(1_800_000_000);

/// Who is at one end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    Auxiliary(u8),
    Master(u8),
    Leader,
}

impl Place {
    pub(crate) fn id(self) -> NodeId {
        NodeId::try_new(self.to_string()).expect("a short name is a good one")
    }

    pub(crate) fn of(id: &NodeId) -> Self {
        let number = id.as_str()[1..].parse().expect("nodes here are named by number");
        if id.as_str().starts_with('a') {
            Self::Auxiliary(number)
        } else {
            Self::Master(number)
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auxiliary(number) => write!(f, "a{number}"),
            Self::Master(number) => write!(f, "m{number}"),
            Self::Leader => f.write_str("leader"),
        }
    }
}

/// What is broken between the nodes.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// One way each.
    pub(crate) cut: BTreeSet<(Place, Place)>,
    /// Who cannot reach the control store.
    pub(crate) without_control: BTreeSet<Place>,
    /// Frames lost, per thousand.
    pub(crate) loss: u64,
    /// Frames that arrive a second time, much later, per thousand.
    pub(crate) replays: u64,
    /// The same while nothing is broken.
    pub(crate) usual_replays: u64,
}

/// The whole system.
pub(crate) struct World {
    pub(crate) mutant: Mutant,
    pub(crate) random: Random,
    pub(crate) control: Control,
    pub(crate) model: Mutex<Model>,
    pub(crate) auxiliaries: Mutex<BTreeMap<u8, Auxiliary>>,
    pub(crate) masters: Mutex<BTreeMap<u8, Master>>,
    pub(crate) links: Watched<Links>,
    /// Since when nothing is broken.
    pub(crate) calm: Mutex<Option<Instant>>,
    /// Who was the primary of a key in an epoch.
    pub(crate) primaries: Mutex<BTreeMap<(u64, String), Place>>,
    /// By auxiliary, until when it was last out of the ring though it lived, in microseconds.
    pub(crate) last_out: Mutex<BTreeMap<String, u64>>,
    began: Instant,
    lives: AtomicU64,
    failure: Mutex<Option<String>>,
    verbose: AtomicBool,
    trace: Mutex<DefaultHasher>,
}

impl World {
    pub(crate) fn new(seed: u64, mutant: Mutant, verbose: bool) -> Arc<Self> {
        let world = Self {
            mutant,
            random: Random::new(seed),
            control: Control::new(),
            model: Mutex::new(Model::default()),
            auxiliaries: Mutex::default(),
            masters: Mutex::default(),
            links: Watched::default(),
            calm: Mutex::new(None),
            primaries: Mutex::default(),
            last_out: Mutex::default(),
            began: Instant::now(),
            lives: AtomicU64::new(0),
            failure: Mutex::new(None),
            verbose: AtomicBool::new(verbose),
            trace: Mutex::new(DefaultHasher::new()),
        };
        Arc::new(world)
    }

    /// Time since 1970, by the best of clocks.
    pub(crate) fn now(&self) -> Duration {
        BEGIN + self.began.elapsed()
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now().as_millis() as u64
    }

    /// A clock that is this far ahead (microseconds).
    pub(crate) fn clock(&self, ahead: &Arc<std::sync::atomic::AtomicI64>) -> Clock {
        let (began, ahead) = (self.began, Arc::clone(ahead));
        Clock::new(move || {
            let now = (BEGIN + began.elapsed()).as_micros() as i64;
            Duration::from_micros((now + ahead.load(Ordering::Relaxed)) as u64)
        })
    }

    /// How far the clock of the one is ahead of the other's: what nodes find out when a connection begins.
    pub(crate) fn skew(&self, of: Place, to: Place) -> Skew {
        let time = |place| self.now_ms().saturating_add_signed(self.ahead(place) / 1_000);
        Skew::between(time(of), time(to))
    }

    /// How far a clock is ahead, in microseconds.
    pub(crate) fn ahead(&self, place: Place) -> i64 {
        let ahead = match place {
            Place::Auxiliary(number) => self.auxiliaries.lock().get(&number).map(|slot| Arc::clone(&slot.ahead)),
            Place::Master(number) => self.masters.lock().get(&number).map(|master| Arc::clone(&master.ahead)),
            Place::Leader => None,
        };
        ahead.map_or(0, |ahead| ahead.load(Ordering::Relaxed))
    }

    /// The next life of any node.
    pub(crate) fn new_life(&self) -> BootId {
        let number = 1 + self.lives.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        BootId::from_bytes(bytes)
    }

    /// Whether something sent now gets there.
    pub(crate) fn reaches(&self, from: Place, to: Place) -> bool {
        !self.links.borrow().cut.contains(&(from, to))
    }

    /// Whether a question and its answer get through.
    pub(crate) fn talks(&self, one: Place, other: Place) -> bool {
        self.reaches(one, other) && self.reaches(other, one)
    }

    /// Returns once the node reaches the control store.
    pub(crate) async fn control_reachable(&self, place: Place) {
        self.links.until(|links| !links.without_control.contains(&place)).await;
    }

    /// Something happened that must happen again when the seed is run again.
    pub(crate) fn mark(&self, what: impl Hash) {
        let mut trace = self.trace.lock();
        self.began.elapsed().as_millis().hash(&mut *trace);
        what.hash(&mut *trace);
    }

    pub(crate) fn trace_hash(&self) -> u64 {
        self.trace.lock().finish()
    }

    /// A line for whoever replays a seed.
    pub(crate) fn tell(&self, line: impl FnOnce() -> String) {
        if self.verbose.load(Ordering::Relaxed) {
            println!("{:>10.3} {}", self.began.elapsed().as_secs_f64(), line());
        }
    }

    /// A promise was broken; the first one counts.
    pub(crate) fn fail(&self, what: String) {
        self.tell(|| format!("BROKEN: {what}"));
        let mut failure = self.failure.lock();
        if failure.is_none() {
            *failure = Some(format!("at {:.3} s: {what}", self.began.elapsed().as_secs_f64()));
        }
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// Lets go of everything, so that nothing outlives the run.
    pub(crate) fn end(&self) {
        self.auxiliaries.lock().clear();
        self.masters.lock().clear();
    }
}
