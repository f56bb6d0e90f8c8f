//! Faults of processes and machines.

use std::sync::Arc;
use std::time::Duration;

use super::super::faults::Fault;
use super::super::world::within;
use super::Nemesis;

impl Nemesis {
    fn fell(&self, name: &str, power: bool) {
        self.world.tally.note(if power { Fault::PowerFailure } else { Fault::Crash });
        self.world.kill(name, power);
    }

    pub(super) async fn crash(&mut self) {
        let Some(name) = self.victim() else { return };
        let power = self.rng.bool();
        self.fell(&name, power);
        tokio::time::sleep(self.span(50, 2_500)).await;
        self.restart(&name);
    }

    /// In the middle of work on the disk; and sometimes again, when it has just begun to take up what was left.
    pub(super) async fn crash_at_disk(&mut self) {
        let Some(name) = self.victim() else { return };
        let times = 1 + self.rng.u32(..3);
        for _ in 0..times {
            let (Some(process), Some(platter)) = (self.world.process(&name), self.world.platter(&name)) else {
                return;
            };
            platter.doom(self.rng.u32(..24), Arc::clone(&process));
            let ended = within(Duration::from_secs(2), async || platter.is_done_with(&process)).await;
            let power = self.rng.bool();
            self.world
                .trace
                .note(format_args!("{name} ends, amid work on its disk: {ended}"));
            self.fell(&name, power);
            tokio::time::sleep(self.span(10, 1_000)).await;
            self.restart(&name);
        }
    }

    /// Of all at once, or of most.
    pub(super) async fn power_failure(&mut self) {
        let mut names = self.world.alive();
        self.rng.shuffle(&mut names);
        let spared = usize::from(self.rng.u32(..3) == 0);
        if spared == 0 {
            self.world.tally.note(Fault::PowerFailureOfAll);
        }
        for name in names.iter().skip(spared) {
            self.fell(name, true);
        }
        for name in names.iter().skip(spared) {
            tokio::time::sleep(self.span(1, 400)).await;
            self.restart(name);
        }
    }

    /// Holds a process up; time goes on.
    pub(super) async fn pause(&mut self) {
        let Some(name) = self.victim() else { return };
        let Some(process) = self.world.process(&name) else { return };
        self.world.trace.note(format_args!("{name} is paused"));
        self.world.tally.note(Fault::Pause);
        process.pause();
        tokio::time::sleep(self.span(200, 5_000)).await;
        self.world.trace.note(format_args!("{name} goes on"));
        process.resume();
    }

    /// The clock of a master jumps ahead. It never goes back: it is the monotonic one.
    pub(super) async fn jump(&mut self) {
        let Some(name) = self.victim() else { return };
        let Some(process) = self.world.process(&name) else { return };
        let most = if self.rng.bool() { 3_000 } else { 3_600_000 };
        let jump = self.span(200, most);
        self.world.trace.note(format_args!("the clock of {name} jumps by {jump:?}"));
        self.world.tally.note(Fault::ClockJump);
        self.world.jumps.lock().push((self.world.trace.now(), jump));
        process.jump(jump);
    }

    /// Stops a master as SIGTERM does.
    pub(super) async fn stop(&mut self) {
        let Some(name) = self.victim() else { return };
        let running = self.world.running();
        let Some(master) = running.into_iter().find(|master| master.name == name) else {
            return;
        };
        self.world.trace.note(format_args!("{name} is stopped"));
        self.world.expect_stop(&name);
        let store = Arc::clone(&master.store);
        let stopping = master.process.spawn(async move { store.shutdown().await });
        drop(master);
        let stopped = tokio::time::timeout(Duration::from_secs(10), stopping).await;
        let clean = matches!(stopped, Ok(Ok(Ok(()))));
        if clean {
            self.world.tally.note(Fault::CleanStop);
        }
        self.world.trace.note(format_args!("{name} has stopped: {clean}"));
        self.world.kill(&name, false);
        tokio::time::sleep(self.span(50, 1_500)).await;
        self.restart(&name);
    }
}
