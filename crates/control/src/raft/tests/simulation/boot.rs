//! Masters' processes: their start, their end, and what is seen of them meanwhile.

use std::sync::{Arc, Weak};

use openraft::rt::WatchReceiver as _;
use tokio_util::sync::CancellationToken;

use super::Mutant;
use super::disk::{Lies, Platter};
use super::network::Wire;
use super::runtime::Process;
use super::world::{Master, World};
use crate::error::Error;
use crate::raft::machine::Applied;
use crate::raft::serve::Endpoint;
use crate::raft::tests::world::member;
use crate::raft::{RaftNode, RaftOptions, RaftStore};

impl World {
    /// Starts a master's process. `join`: it is none of the initial members, or not any more.
    pub(super) fn boot(self: &Arc<Self>, name: &str, join: bool) {
        let (process, mounted, options, incarnation) = {
            let mut masters = self.masters.lock();
            let is_added = |known: &&String| *known != name && self.initial.iter().all(|member| member.name != **known);
            let added: Vec<String> = masters.keys().filter(is_added).map(|known| member(known).address).collect();
            let fork = || self.rng.lock().fork();
            let lies = match self.mutant {
                Some(Mutant::LyingDisks) => Lies::Always,
                Some(Mutant::UnsyncedRestarts) => Lies::AtRestart,
                _ => Lies::No,
            };
            let master = masters.entry(name.to_owned()).or_insert_with(|| Master {
                platter: Platter::new(fork(), &self.tally, lies),
                incarnation: 0,
                process: None,
                endpoint: Weak::new(),
                store: None,
                refused: None,
                stopping: false,
            });
            if master.process.is_some() {
                return;
            }
            master.incarnation += 1;
            master.refused = None;
            master.stopping = false;
            let process = Process::new(name, fork());
            master.process = Some(Arc::clone(&process));
            let root = self.dir.join(format!("{name}.{}", master.incarnation));
            let mut options = RaftOptions::new(&root, name);
            options.address = member(name).address;
            // An operator sees to it that the settings name masters that are there.
            options.join = added;
            if join {
                options.join.extend(self.initial.iter().map(|member| member.address.clone()));
            } else {
                options.initial_cluster = self.initial.clone();
            }
            (options.snapshot_entries, options.snapshot_keep_entries) = (self.size.snapshot_entries, self.size.keep_entries);
            options.segment_bytes = self.size.segment_bytes;
            (process, master.platter.mount(root), options, master.incarnation)
        };
        self.trace.note(format_args!("{name}.{incarnation} starts"));
        let (world, name, own) = (Arc::clone(self), name.to_owned(), Arc::clone(&process));
        process.spawn(async move {
            let wire = Wire {
                own: name.clone(),
                world: Arc::clone(&world),
            };
            let started = async {
                let node = RaftNode::prepare_on(Arc::new(mounted), Arc::new(wire), options).await?;
                world.listens(&name, incarnation, Arc::downgrade(&node.local.endpoint));
                node.start().await
            };
            let started = started.await;
            // What it has still to say when it is killed amid a call of its disk, nobody hears.
            if !own.is_dead() {
                world.started(&name, incarnation, &own, started);
            }
        });
    }

    fn listens(&self, name: &str, incarnation: u32, endpoint: Weak<Endpoint>) {
        if let Some(master) = self
            .masters
            .lock()
            .get_mut(name)
            .filter(|master| master.incarnation == incarnation)
        {
            master.endpoint = endpoint;
        }
    }

    fn started(self: &Arc<Self>, name: &str, incarnation: u32, process: &Arc<Process>, started: Result<Arc<RaftStore>, Error>) {
        let shown = started.as_ref().map_or_else(ToString::to_string, |_| "is ready".to_owned());
        self.trace.note(format_args!("{name}.{incarnation}: {shown}"));
        let mut masters = self.masters.lock();
        let Some(master) = masters.get_mut(name).filter(|master| master.incarnation == incarnation) else {
            return;
        };
        match started {
            Ok(store) => {
                tokio::spawn(observe(Arc::clone(self), name.to_owned(), Arc::clone(&store.applied)));
                tokio::spawn(supervise(
                    Arc::clone(self),
                    name.to_owned(),
                    Arc::clone(process),
                    Arc::downgrade(&store),
                    store.stopping.clone(),
                ));
                master.store = Some(store);
            }
            Err(error) => {
                // An operator, or a supervisor, has a look at it.
                master.process = None;
                master.endpoint = Weak::new();
                master.refused = Some(error.to_string());
                if matches!(error, Error::Damaged(_)) {
                    drop(masters);
                    self.complain(format!("{name} did not start: {error}"));
                }
            }
        }
    }

    /// Ends a master's process as SIGKILL does; with `power`, its disk loses what was not synced, too.
    pub(super) fn kill(&self, name: &str, power: bool) {
        let mut masters = self.masters.lock();
        let Some(master) = masters.get_mut(name) else { return };
        let Some(process) = master.process.take() else { return };
        self.trace.note(format_args!(
            "{name}.{} is killed{}",
            master.incarnation,
            if power { ", its power fails" } else { "" }
        ));
        master.endpoint = Weak::new();
        let (store, platter) = (master.store.take(), master.platter.clone());
        drop(masters);
        if let Some(store) = &store {
            self.learn(name, &store.applied, 0);
        }
        process.kill();
        if power {
            platter.power_failure();
        } else {
            platter.detach();
        }
    }

    /// A master's engine is about to be asked to stop.
    pub(super) fn expect_stop(&self, name: &str) {
        if let Some(master) = self.masters.lock().get_mut(name) {
            master.stopping = true;
        }
    }

    fn is_stopping(&self, name: &str) -> bool {
        self.masters.lock().get(name).is_some_and(|master| master.stopping)
    }

    /// Takes note of what a master has applied, from a revision on.
    fn learn(&self, name: &str, applied: &Applied, mut next: u64) -> u64 {
        loop {
            match applied.look(|state| state.history().since(next, 256)) {
                Ok(items) if items.is_empty() => return next,
                Ok(items) => {
                    for events in items {
                        let noted = self.truth.lock().note(next, &events, self.trace.now());
                        if let Err(problem) = noted {
                            self.complain(format!("{name} {problem}"));
                        }
                        next += 1;
                    }
                }
                Err(Error::Compacted { oldest, .. }) => next = oldest,
                Err(_) => return next,
            }
        }
    }
}

/// An engine never stops by itself here: its disks do not break.
async fn supervise(world: Arc<World>, name: String, process: Arc<Process>, store: Weak<RaftStore>, stopping: CancellationToken) {
    stopping.cancelled().await;
    if let Some(store) = store.upgrade().filter(|_| !process.is_dead() && !world.is_stopping(&name)) {
        world.complain(format!("the engine of {name} stopped by itself: {}", store.reason()));
    }
}

async fn observe(world: Arc<World>, name: String, applied: Arc<Applied>) {
    let mut progress = applied.progress();
    let mut next = 0;
    loop {
        drop(progress.borrow_and_update());
        next = world.learn(&name, &applied, next);
        if progress.changed().await.is_err() {
            return;
        }
    }
}
