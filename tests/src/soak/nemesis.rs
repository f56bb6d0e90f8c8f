//! Who breaks things, by seeded choices.

mod etcd;

use std::time::Duration;

use fastrand::Rng;
use histories::workload::Running;
use tokio::time::{Instant, sleep, sleep_until};

use super::hogs::Hogs;
use super::{Cluster, Fault};
use crate::network::Place;

/// Time in which all is well between two faults.
const CALM: Duration = Duration::from_millis(1500);
/// Time for a new master to have a vote.
const ADMITTED: Duration = Duration::from_secs(20);

pub(super) struct Nemesis<'a> {
    pub(super) cluster: &'a mut Cluster,
    pub(super) running: &'a Running,
    pub(super) rng: Rng,
    /// Faults that took place. One that cannot is none, and a history without any proves little.
    pub(super) struck: usize,
}

impl Nemesis<'_> {
    /// Breaks something again and again until a moment.
    pub(super) async fn torment(&mut self, fault: Fault, until: Instant) {
        loop {
            let calm = Instant::now() + CALM.mul_f64(0.5 + self.rng.f64());
            if calm >= until {
                sleep_until(until).await;
                return;
            }
            sleep_until(calm).await;
            if self.strike(fault).await {
                self.struck += 1;
            }
        }
    }

    /// Whether it took place.
    async fn strike(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::None => return false,
            Fault::Kill => {
                let victim = self.victim().await;
                self.kill(victim);
                self.hold(1.0, 3.0).await;
                self.start(victim);
            }
            Fault::KillAll => {
                let members: Vec<_> = self.cluster.members().collect();
                members.iter().for_each(|index| self.kill(*index));
                self.hold(0.2, 1.0).await;
                members.iter().for_each(|index| self.start(*index));
                self.hold(2.0, 3.0).await;
            }
            Fault::Pause => {
                let victim = self.victim().await;
                self.note(format!("SIGSTOP {}", self.name(victim)));
                self.cluster.masters[victim].pause();
                self.hold(2.0, 4.0).await;
                self.note(format!("SIGCONT {}", self.name(victim)));
                self.cluster.masters[victim].resume();
            }
            Fault::Minority => {
                let alone = self.victim().await;
                let others: Vec<_> = self.cluster.members().filter(|index| *index != alone).collect();
                self.part(&[alone], &others).await;
            }
            Fault::Bridge => {
                let mut members: Vec<_> = self.cluster.members().collect();
                self.rng.shuffle(&mut members);
                let (one, other) = members[1..].split_at((members.len() - 1) / 2);
                self.part(one, other).await;
            }
            Fault::OneWay => self.silence().await,
            Fault::Members => return self.change_members().await,
            Fault::Transfer => {
                let told = self.cluster.order("POST", "/cluster/transfer-leader", None).await;
                self.note(format!("transfer of leadership: {told:?}"));
                return told.is_ok();
            }
            Fault::SlowDisk => self.slow_disk().await,
            Fault::Etcd => self.strike_etcd().await,
            Fault::Cut => self.cut_etcd().await,
            Fault::Mixed => return self.strike_any().await,
        }
        true
    }

    async fn strike_any(&mut self) -> bool {
        let raft = [
            Fault::Kill,
            Fault::Pause,
            Fault::Minority,
            Fault::Bridge,
            Fault::OneWay,
            Fault::Members,
            Fault::Transfer,
            Fault::SlowDisk,
            Fault::KillAll,
        ];
        let etcd = [
            Fault::Kill,
            Fault::Pause,
            Fault::SlowDisk,
            Fault::Etcd,
            Fault::Etcd,
            Fault::Cut,
            Fault::Cut,
            Fault::KillAll,
        ];
        let any = if self.cluster.etcd.is_some() { etcd.as_slice() } else { &raft };
        let fault = any[self.rng.usize(..any.len())];
        Box::pin(self.strike(fault)).await
    }

    /// Mostly the leader, else anybody.
    async fn victim(&mut self) -> usize {
        let leader = self.cluster.leader().await;
        match leader {
            Some(leader) if self.rng.u8(..3) > 0 => leader,
            _ => {
                let members: Vec<_> = self.cluster.members().collect();
                members[self.rng.usize(..members.len())]
            }
        }
    }

    fn kill(&mut self, index: usize) {
        self.note(format!("kill -9 {}", self.name(index)));
        self.cluster.masters[index].kill();
    }

    fn start(&mut self, index: usize) {
        self.note(format!("start {}", self.name(index)));
        self.cluster.masters[index].start();
    }

    async fn part(&mut self, one: &[usize], other: &[usize]) {
        self.note(format!("part {} from {}", self.names(one), self.names(other)));
        if let Some(network) = &self.cluster.network {
            for (one, other) in one.iter().flat_map(|one| other.iter().map(move |other| (*one, *other))) {
                network.part(&self.place(one), &self.place(other));
            }
        }
        self.hold(2.5, 5.0).await;
        self.join();
    }

    async fn silence(&mut self) {
        let victim = self.victim().await;
        let others: Vec<_> = self.cluster.members().filter(|index| *index != victim).collect();
        let sends = self.rng.bool();
        let word = if sends { "sends to" } else { "hears of" };
        self.note(format!("{} no longer {word} {}", self.name(victim), self.names(&others)));
        if let Some(network) = &self.cluster.network {
            for other in others {
                let (from, to) = if sends { (victim, other) } else { (other, victim) };
                network.silence(&self.place(from), &self.place(to));
            }
        }
        self.hold(2.5, 5.0).await;
        self.join();
    }

    fn join(&self) {
        self.note("join all".to_owned());
        if let Some(network) = &self.cluster.network {
            network.join();
        }
    }

    /// One more, then one less: any of the older ones, the leader too.
    async fn change_members(&mut self) -> bool {
        let newcomer = self.cluster.newcomer().await;
        self.note(format!("add {}", self.name(newcomer)));
        let added = self.cluster.admit(newcomer, ADMITTED).await;
        self.note(format!("added {}: {added:?}", self.name(newcomer)));
        if added.is_err() {
            return false;
        }
        self.running.turn_to(self.cluster.targets());
        self.hold(0.2, 1.0).await;
        let mut leaving = self.victim().await;
        if leaving == newcomer {
            leaving = self.cluster.members().next().unwrap_or(leaving);
        }
        self.note(format!("remove {}", self.name(leaving)));
        let path = format!("/cluster/members/{}", self.name(leaving));
        let removed = self.cluster.order("DELETE", &path, None).await;
        self.note(format!("removed {}: {removed:?}", self.name(leaving)));
        if removed.is_ok() {
            self.hold(0.2, 1.0).await;
            self.cluster.members[leaving] = false;
            self.running.turn_to(self.cluster.targets());
            self.cluster.masters[leaving].kill();
        }
        removed.is_ok()
    }

    async fn slow_disk(&mut self) {
        self.note("the disk becomes slow".to_owned());
        let hogs = Hogs::start(self.cluster.directory());
        self.hold(2.5, 5.0).await;
        let syncs = hogs.stop().await;
        self.note(format!("the disk is left alone, after {syncs} large writes"));
    }

    /// So long, in seconds.
    async fn hold(&mut self, least: f64, most: f64) {
        let seconds = least + (most - least) * self.rng.f64();
        sleep(Duration::from_secs_f64(seconds)).await;
    }

    fn place(&self, index: usize) -> Place {
        self.cluster.masters[index]
            .place()
            .expect("masters that are parted have places of their own")
    }

    fn name(&self, index: usize) -> String {
        self.cluster.masters[index].name().to_owned()
    }

    fn names(&self, indices: &[usize]) -> String {
        indices.iter().map(|index| self.name(*index)).collect::<Vec<_>>().join(", ")
    }

    fn note(&self, text: String) {
        self.running.note(text);
    }
}
