//! What happens to the masters: everything that may, in an order that the seed decides.

mod disks;
mod members;
mod network;
mod processes;

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::world::World;

/// Faults, one after the other, some of them at once.
pub(super) struct Nemesis {
    world: Arc<World>,
    rng: Rng,
    /// Leaves the masters themselves alone.
    only_network: bool,
    /// Names that were added.
    added: u32,
    /// A master has lost its disk, and must be replaced.
    pub(super) wiped: Option<String>,
    /// Those that were removed.
    pub(super) gone: Vec<String>,
}

impl Nemesis {
    pub(super) fn new(world: &Arc<World>, rng: Rng, only_network: bool) -> Self {
        Self {
            world: Arc::clone(world),
            rng,
            only_network,
            added: 0,
            wiped: None,
            gone: Vec::new(),
        }
    }

    /// Does its worst for a while.
    pub(super) async fn run(&mut self, length: Duration) {
        let end = self.world.trace.now() + length;
        while self.world.trace.now() < end {
            self.fault().await;
            tokio::time::sleep(self.span(100, 900)).await;
        }
    }

    async fn fault(&mut self) {
        match self.rng.u32(..if self.only_network { 30 } else { 112 }) {
            0..14 => self.partition().await,
            14..22 => self.one_way().await,
            22..30 => self.storm().await,
            30..40 => self.crash().await,
            40..50 => self.crash_at_disk().await,
            50..57 => self.power_failure().await,
            57..70 => self.pause().await,
            70..76 => self.jump().await,
            76..82 => self.slow_disk().await,
            82..88 => self.full_disk().await,
            88..93 => self.stop().await,
            93..98 => self.transfer().await,
            98..107 => self.replace().await,
            _ => self.lose_a_disk().await,
        }
    }

    fn span(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.rng.u64(least..most))
    }

    fn any(&mut self, names: &[String]) -> Option<String> {
        (!names.is_empty()).then(|| names[self.rng.usize(..names.len())].clone())
    }

    fn leader(&self) -> Option<String> {
        let running = self.world.running();
        running
            .iter()
            .find(|master| master.store.is_raft_leader())
            .map(|master| master.name.clone())
    }

    /// The leader, more often than anybody else.
    fn victim(&mut self) -> Option<String> {
        let leader = self.leader().filter(|_| self.rng.bool());
        leader.or_else(|| {
            let alive = self.world.alive();
            self.any(&alive)
        })
    }

    /// Starts a master again, unless it has lost its disk.
    fn restart(&self, name: &str) {
        if self.wiped.as_deref() != Some(name) && !self.gone.iter().any(|gone| gone == name) {
            self.boot(name);
        }
    }

    /// Starts a master.
    pub(super) fn boot(&self, name: &str) {
        let initial = self.world.initial_names().iter().any(|initial| initial == name);
        self.world.boot(name, !initial);
    }
}
