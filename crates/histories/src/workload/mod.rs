//! Seeded clients that do what users do, all at once, and a record of what they were told.
//!
//! Keys come in generations of a few seconds, so that the history of each is short enough to be judged, and all of them are
//! read again at the end: what was acknowledged early must be there late.

mod client;
mod plan;
mod watcher;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use parking_lot::RwLock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::History;
use crate::history::{Answer, Op, Recorder, Seen, Step, Value, What};
use crate::target::{Outcome, Target};
use client::Client;
use plan::Plan;
use watcher::Watcher;

/// Pause between two attempts of what has to work in the end.
const PAUSE: Duration = Duration::from_millis(100);

/// Noted when the clients stop: all that follows is reading everything again.
pub const THE_END: &str = "the end: clients stop";

/// Reads at once when all keys are read at the end.
const READERS: usize = 16;

/// What is to be run. Make it with [`Workload::new`] and change what differs.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Ways to the store.
    pub targets: Vec<Arc<dyn Target>>,
    /// Seed of all choices.
    pub seed: u64,
    /// What is run, for people.
    pub title: String,
    /// Clients.
    pub clients: u32,
    /// Watchers.
    pub watchers: u32,
    /// Time after which the clients go on with other keys.
    pub generation: Duration,
    /// Longest pause of a client between two requests.
    pub pause: Duration,
}

/// What all tasks share.
#[derive(Debug)]
struct Shared {
    /// Ways to the store, as they are now.
    targets: RwLock<Vec<Arc<dyn Target>>>,
    recorder: Recorder,
    began: Instant,
    generation: Duration,
    pause: Duration,
    /// Begins every key of this run.
    prefix: String,
    /// Values written so far.
    values: AtomicU64,
    stop: CancellationToken,
}

/// A workload under way.
#[derive(Debug)]
pub struct Running {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
    watchers: JoinSet<()>,
    /// Told to watchers: the last revision there will be.
    last: tokio::sync::watch::Sender<Option<u64>>,
    seed: u64,
    title: String,
}

impl Workload {
    /// The defaults: eight clients, three watchers.
    #[must_use]
    pub fn new(targets: Vec<Arc<dyn Target>>, seed: u64, title: &str) -> Self {
        Self {
            targets,
            seed,
            title: title.to_owned(),
            clients: 8,
            watchers: 3,
            generation: Duration::from_secs(3),
            pause: Duration::from_millis(10),
        }
    }

    /// Begins. The store must work: the first write, with which watches begin, is waited for.
    ///
    /// # Errors
    /// When that write is not acknowledged within a minute, with what was told last.
    pub async fn start(self) -> Result<Running, String> {
        let shared = Arc::new(Shared {
            recorder: Recorder::default(),
            began: Instant::now(),
            generation: self.generation,
            pause: self.pause,
            prefix: format!("h{:x}", self.seed),
            values: AtomicU64::new(1),
            stop: CancellationToken::new(),
            targets: RwLock::new(self.targets),
        });
        let first = shared.mark(&shared.targets(), "begin", Duration::from_secs(60)).await?;
        let (last, _) = tokio::sync::watch::channel(None);
        let (mut clients, mut watchers) = (JoinSet::new(), JoinSet::new());
        for number in 0..self.clients {
            let plan = Plan::new(self.seed, number, &shared.prefix);
            clients.spawn(Client::new(Arc::clone(&shared), plan, number).run());
        }
        for number in 0..self.watchers {
            let watcher = Watcher::new(Arc::clone(&shared), self.seed, number, first);
            watchers.spawn(watcher.run(last.subscribe()));
        }
        Ok(Running {
            shared,
            clients,
            watchers,
            last,
            seed: self.seed,
            title: self.title,
        })
    }
}

impl Shared {
    /// The ways to the store.
    fn targets(&self) -> Vec<Arc<dyn Target>> {
        self.targets.read().clone()
    }

    /// The way that a client or watcher takes which has changed so many times.
    fn target(&self, number: usize) -> Arc<dyn Target> {
        let targets = self.targets.read();
        Arc::clone(&targets[number % targets.len()])
    }
}

impl Running {
    /// From now on these are the ways to the store: members have come or gone.
    pub fn turn_to(&self, targets: Vec<Arc<dyn Target>>) {
        *self.shared.targets.write() = targets;
    }

    /// Writes down what happens, for people.
    pub fn note(&self, text: impl Into<String>) {
        self.shared.recorder.note(text);
    }

    /// Time since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.shared.began.elapsed()
    }

    /// Ends: the clients stop, every key is read again over each of these targets, and the watchers see the last write. The
    /// store must work again, within so long.
    ///
    /// # Errors
    /// What did not work at the deadline; with the history so far.
    pub async fn finish(mut self, targets: &[Arc<dyn Target>], within: Duration) -> Result<History, (String, History)> {
        self.note(THE_END);
        self.shared.stop.cancel();
        while self.clients.join_next().await.is_some() {}
        let ended = self.settle(targets, within).await;
        let mut history = History::new(self.seed, &self.title);
        history.events = self.shared.recorder.events();
        match ended {
            Ok(()) => Ok(history),
            Err(reason) => Err((reason, history)),
        }
    }

    async fn settle(&mut self, targets: &[Arc<dyn Target>], within: Duration) -> Result<(), String> {
        let give_up = Instant::now() + within;
        let left = || give_up.saturating_duration_since(Instant::now());
        let keys = self.shared.keys();
        let reads = targets.iter().flat_map(|target| keys.iter().map(move |key| (target, key)));
        let shared = &self.shared;
        let reads = reads.map(|(target, key)| shared.insist(std::slice::from_ref(target), move || Op::read(key), left()));
        let mut reads = futures::stream::iter(reads).buffer_unordered(READERS);
        while let Some(read) = reads.next().await {
            read?;
        }
        drop(reads);
        let last = self.shared.mark(targets, "end", left()).await?;
        self.last.send_replace(Some(last));
        let watchers = async { while self.watchers.join_next().await.is_some() {} };
        let waited = tokio::time::timeout(left(), watchers).await;
        waited.map_err(|_| format!("a watcher has not seen revision {last} within {within:?}"))
    }
}

impl Shared {
    /// Every key that was asked for.
    fn keys(&self) -> Vec<String> {
        let events = self.recorder.events();
        let ops = events.iter().filter_map(|event| match &event.what {
            What::Invoke { op, .. } => Some(op),
            _ => None,
        });
        let mut keys: Vec<_> = ops.flat_map(Op::keys).map(str::to_owned).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Sends a request and writes down both ends; the process to go on under.
    async fn ask(&self, process: &mut u32, target: &dyn Target, op: &Op) -> Outcome {
        self.recorder.invoke(*process, op, target.name());
        let outcome = target.ask(op).await;
        match &outcome {
            Outcome::Done(answer) => self.recorder.ok(*process, answer.clone()),
            Outcome::NotExecuted(reason) => self.recorder.fail(*process, reason),
            Outcome::Unknown(reason) => {
                self.recorder.info(*process, reason);
                *process = self.recorder.process();
            }
        }
        outcome
    }

    /// Asks one target after the other until one executes a request; each attempt may be another one.
    async fn insist(&self, targets: &[Arc<dyn Target>], mut op: impl FnMut() -> Op, within: Duration) -> Result<Answer, String> {
        let give_up = Instant::now() + within;
        let mut process = self.recorder.process();
        for target in targets.iter().cycle() {
            let op = op();
            match self.ask(&mut process, target.as_ref(), &op).await {
                Outcome::Done(answer) => return Ok(answer),
                Outcome::NotExecuted(reason) | Outcome::Unknown(reason) if Instant::now() >= give_up => {
                    return Err(format!(
                        "{} does not answer «{op}», also after {within:?}: {reason}",
                        target.name()
                    ));
                }
                Outcome::NotExecuted(_) | Outcome::Unknown(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        Err("there is nobody to ask".to_owned())
    }

    /// Writes what every watcher sees, and gives the revision: all that was acknowledged before has a smaller one.
    async fn mark(&self, targets: &[Arc<dyn Target>], name: &str, within: Duration) -> Result<u64, String> {
        let write = || {
            // What was not answered may happen yet: another attempt is another write.
            let value = Value::Int(self.value());
            let puts = watcher::KINDS.iter().map(|kind| Step::Put {
                key: format!("{}{kind}-{name}", self.prefix),
                value: value.clone(),
            });
            Op::Txn {
                compare: Vec::new(),
                then: puts.collect(),
                otherwise: Vec::new(),
            }
        };
        match self.insist(targets, write, within).await? {
            Answer::Txn { revision, .. } => Ok(revision),
            answer => Err(format!("a transaction was answered with {answer}")),
        }
    }

    /// A value that nobody has written.
    fn value(&self) -> u64 {
        self.values.fetch_add(1, Ordering::Relaxed)
    }

    fn seen(&self, process: u32, seen: Seen) {
        self.recorder.seen(process, seen);
    }

    /// Number of the keys in use now.
    fn generation(&self) -> u64 {
        let generations = self.began.elapsed().as_secs_f64() / self.generation.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small number, not negative"
        )]
        {
            generations as u64
        }
    }
}
