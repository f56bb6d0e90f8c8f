//! A load from its beginning to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;
use tokio::task::JoinHandle;

use super::client::Shared;
use super::plan::Plan;
use super::{Door, Event, History, Key, Op, Outcome};
use crate::eventually;

/// Clients of the load.
const CLIENTS: u16 = 12;
/// Keys that are asked for all the time: every auxiliary is the first owner of some.
const PROBES: u16 = 16;
/// Reads under way at once when everything is read back.
const READERS: usize = 16;
/// Longest time for a key to be readable again when everything has healed.
const READABLE: Duration = Duration::from_secs(15);

/// A load to be started.
#[derive(Debug)]
pub struct Workload {
    doors: Vec<String>,
    cold: u16,
    seed: u64,
}

/// A load under way.
#[derive(Debug)]
pub struct Running {
    shared: Shared,
    seed: u64,
    filled: Vec<Event>,
    /// When the filling was over.
    from: Duration,
    tasks: Vec<JoinHandle<Vec<Event>>>,
}

impl Workload {
    /// A load through these doors (`host:port`), with the seed of `ELASTICORE_SEED` or a new one.
    ///
    /// # Panics
    /// When `ELASTICORE_SEED` is no number.
    #[must_use]
    pub fn through(doors: &[String]) -> Self {
        let seed = std::env::var("ELASTICORE_SEED").map_or_else(
            |_| fastrand::u64(..),
            |text| text.parse().expect("ELASTICORE_SEED is a number"),
        );
        Self {
            doors: doors.to_vec(),
            cold: 24,
            seed,
        }
    }

    /// With so many keys of each client that are written once and then only read (24 unless set).
    #[must_use]
    pub const fn cold(mut self, keys: u16) -> Self {
        self.cold = keys;
        self
    }

    /// Writes every key once, then lets all clients go.
    ///
    /// # Panics
    /// When a key cannot be written: nothing is broken yet.
    pub async fn start(self) -> Running {
        let shared = Shared {
            doors: Arc::new(self.doors.iter().map(|door| Door::at(door)).collect()),
            began: Instant::now(),
            stop: Arc::new(AtomicBool::new(false)),
        };
        let mut plans: Vec<_> = (0..CLIENTS)
            .map(|client| Plan::new(client, CLIENTS, self.cold, self.seed))
            .collect();
        let filling = plans.iter_mut().map(|plan| shared.fill(plan));
        let filled = futures::future::join_all(filling).await.concat();
        let from = shared.now();
        let followers = plans.into_iter().map(|plan| tokio::spawn(shared.clone().follow(plan)));
        let mut tasks: Vec<_> = followers.collect();
        for probe in 0..PROBES {
            for writes in [true, false] {
                tasks.push(tokio::spawn(shared.clone().probe(probe, writes)));
            }
        }
        Running {
            shared,
            seed: self.seed,
            filled,
            from,
            tasks,
        }
    }
}

impl Running {
    /// Time since the beginning, as in the record.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.shared.now()
    }

    /// When the filling was over and the load began.
    #[must_use]
    pub const fn from(&self) -> Duration {
        self.from
    }

    /// The seed.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Ends the load, and gives its record when every request has ended.
    ///
    /// # Panics
    /// When a client did.
    pub async fn stop(&mut self) -> History {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut events = std::mem::take(&mut self.filled);
        for task in self.tasks.drain(..) {
            events.extend(task.await.expect("a client does not panic"));
        }
        History { events }
    }

    /// Reads every key of a record through each of these masters (`host:port`), and adds the answers to it.
    ///
    /// # Panics
    /// When a key cannot be read.
    pub async fn read_back(&self, history: &mut History, masters: &[String]) {
        let keys = history.keys();
        for (place, master) in masters.iter().enumerate() {
            let door = Door::at(master);
            let reads = keys.iter().map(|key| self.read(*key, &door, place, master));
            let answers: Vec<_> = stream::iter(reads).buffer_unordered(READERS).collect().await;
            history.events.extend(answers);
        }
    }

    /// Reads one key, as often as it takes.
    async fn read(&self, key: Key, door: &Door, place: usize, master: &str) -> Event {
        eventually(&format!("{key} to be readable through {master}"), READABLE, || async {
            let invoked = self.now();
            let reply = door.ask(key, Op::Get, None).await;
            let Outcome::Done(_) = reply.outcome else {
                return Err(format!("{:?}", reply.outcome));
            };
            Ok(Event {
                key,
                op: Op::Get,
                door: place,
                invoked,
                returned: self.now(),
                source: reply.source(),
                outcome: reply.outcome,
            })
        })
        .await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
