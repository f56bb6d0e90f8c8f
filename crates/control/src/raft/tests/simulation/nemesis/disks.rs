//! Faults of disks.

use std::time::Duration;

use super::super::Mutant;
use super::super::faults::Fault;
use super::super::world::within;
use super::Nemesis;
use crate::raft::{Member, MemberRole};

/// How long a master may take to hear that it must keep out.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

impl Nemesis {
    /// Syncs take long, or as long as nobody waits.
    pub(super) async fn slow_disk(&mut self) {
        let Some(name) = self.victim() else { return };
        let Some(platter) = self.world.platter(&name) else { return };
        let slowest = if self.rng.u32(..3) == 0 {
            self.span(2_000, 8_000)
        } else {
            self.span(60, 800)
        };
        self.world
            .trace
            .note(format_args!("the disk of {name} is slow: up to {slowest:?}"));
        platter.slow_down(Some(slowest));
        tokio::time::sleep(self.span(500, 3_000)).await;
        platter.slow_down(None);
    }

    /// Of one master, or of most; sometimes it dies of something else meanwhile.
    pub(super) async fn full_disk(&mut self) {
        let mut names = self.world.alive();
        self.rng.shuffle(&mut names);
        let most = if self.rng.u32(..3) == 0 { names.len() } else { 1 };
        let victims: Vec<String> = match self.leader().filter(|_| self.rng.bool()) {
            Some(leader) => vec![leader],
            None => names.into_iter().take(most).collect(),
        };
        self.world.trace.note(format_args!("the disks of {victims:?} are full"));
        for name in &victims {
            if let Some(platter) = self.world.platter(name) {
                platter.fill(Some(self.rng.usize(..2_000)));
            }
        }
        tokio::time::sleep(self.span(500, 4_000)).await;
        if self.rng.u32(..4) == 0 {
            let power = self.rng.bool();
            self.world.kill(&victims[0], power);
            tokio::time::sleep(self.span(10, 1_000)).await;
            self.restart(&victims[0]);
            tokio::time::sleep(self.span(100, 1_500)).await;
        }
        self.make_space();
        for name in &victims {
            // It may have found no space to start in.
            self.restart(name);
        }
    }

    /// Ends all full disks.
    pub(in super::super) fn make_space(&self) {
        self.world.trace.note(format_args!("there is space on all disks"));
        for platter in self.world.platters() {
            platter.fill(None);
        }
    }

    /// A voter loses its disk at the worst moment: when the only others that have all that was acknowledged are about to go.
    /// It must not vote again.
    pub(super) async fn lose_a_disk(&mut self) {
        if self.wiped.is_some() || !self.world.agrees_on_members() {
            return;
        }
        let (Some(leader), Some(members)) = (self.leader(), self.world.members().await) else {
            return;
        };
        let running = self.world.running();
        let runs = |member: &Member| running.iter().any(|master| master.name == member.name);
        let voters = members
            .iter()
            .filter(|member| member.role != MemberRole::Learner && runs(member));
        let mut others: Vec<String> = voters
            .map(|member| member.name.clone())
            .filter(|name| *name != leader)
            .collect();
        // One of three: a majority remains when it is gone for good.
        if others.len() < 2 || members.len() != others.len() + 1 {
            return;
        }
        self.rng.shuffle(&mut others);
        let half = others.len() / 2;
        let (informed, behind) = others.split_at(half);
        let lost = informed[0].clone();
        {
            let mut weather = self.world.weather.lock();
            for one in behind {
                for other in informed.iter().chain([&leader]) {
                    weather.cut(one, other);
                    weather.cut(other, one);
                }
            }
        }
        self.world
            .trace
            .note(format_args!("{behind:?} fall behind; {lost} is about to lose its disk"));
        tokio::time::sleep(self.span(800, 2_000)).await;
        self.world.remember_disk(&lost);
        self.world.kill(&lost, true);
        self.world.wipe(&lost);
        self.world.tally.note(Fault::DiskLost);
        self.wiped = Some(lost.clone());
        let away: Vec<&String> = informed.iter().filter(|name| **name != lost).chain([&leader]).collect();
        for name in &away {
            self.world.kill(name, false);
        }
        self.world.weather.lock().clear();
        self.boot(&lost);
        tokio::time::sleep(self.span(3_000, 6_000)).await;
        for name in away {
            self.boot(name);
        }
        if self.world.mutant == Some(Mutant::ForgedStores) {
            return;
        }
        if within(TOLD_WITHIN, async || self.world.refused(&lost).is_some()).await {
            self.world.tally.note(Fault::Refused);
        } else {
            self.world
                .complain(format!("{lost} lost its disk, and was not told to keep out"));
        }
    }
}
