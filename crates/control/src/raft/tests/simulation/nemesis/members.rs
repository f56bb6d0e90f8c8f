//! Changes of the members.

use std::sync::Arc;
use std::time::Duration;

use super::super::faults::Fault;
use super::Nemesis;
use crate::error::Error;
use crate::raft::{Member, RaftStore};

/// Masters that are added in a run, at most.
const MOST_ADDED: u32 = 3;

impl Nemesis {
    pub(super) async fn transfer(&mut self) {
        let Some(name) = self.victim() else { return };
        let alive = self.world.alive();
        let to = self.any(&alive).filter(|_| self.rng.bool());
        let done = self
            .members(&name, |store| async move { store.transfer_leader(to.as_deref()).await })
            .await;
        if matches!(done, Some(Ok(_))) {
            self.world.tally.note(Fault::LeaderMoved);
        }
        self.world.trace.note(format_args!("transfer: {done:?}"));
    }

    /// Does something with the members, by a master.
    async fn members<T, F>(&self, name: &str, work: impl FnOnce(Arc<RaftStore>) -> F) -> Option<Result<T, Error>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let running = self.world.running();
        let master = running.into_iter().find(|master| master.name == name)?;
        let store = Arc::clone(&master.store);
        let working = master.process.spawn(work(store));
        drop(master);
        tokio::time::timeout(Duration::from_secs(20), working).await.ok()?.ok()
    }

    async fn remove(&self, through: &str, gone: &str) -> bool {
        let victim = gone.to_owned();
        let removed = self
            .members(through, |store| async move { store.remove_member(&victim).await })
            .await;
        self.world.trace.note(format_args!("{gone} is removed: {removed:?}"));
        let done = matches!(removed, Some(Ok(())));
        if done {
            self.world.tally.note(Fault::MemberRemoved);
        }
        done
    }

    /// Puts a new master in the place of another; or first adds the new one.
    pub(super) async fn replace(&mut self) {
        if self.added >= MOST_ADDED || self.wiped.is_some() {
            return;
        }
        let adds_first = self.rng.bool();
        if adds_first {
            self.add().await;
            tokio::time::sleep(self.span(200, 2_000)).await;
        }
        let alive = self.world.alive();
        let (Some(through), Some(gone)) = (self.any(&alive), self.victim()) else {
            return;
        };
        if !self.remove(&through, &gone).await {
            return;
        }
        self.world.kill(&gone, false);
        self.world.wipe(&gone);
        self.gone.push(gone);
        if !adds_first {
            self.add().await;
        }
    }

    /// Puts a new master in the place of the one that lost its disk; whether that is done.
    pub(in super::super) async fn replace_wiped(&mut self, wiped: &str, members: &[Member]) -> bool {
        let alive = self.world.alive();
        let Some(through) = self.any(&alive) else { return false };
        if members.iter().any(|member| member.name == wiped) {
            self.remove(&through, wiped).await;
            return false;
        }
        self.gone.push(wiped.to_owned());
        self.add().await;
        true
    }

    async fn add(&mut self) {
        self.added += 1;
        let name = format!("n{}", self.added);
        let alive = self.world.alive();
        let Some(through) = self.any(&alive) else { return };
        let (new, address) = (name.clone(), format!("{name}:9000"));
        let added = self
            .members(&through, |store| async move { store.add_member(&new, &address).await })
            .await;
        self.world.trace.note(format_args!("{name} is added: {added:?}"));
        if matches!(added, Some(Ok(_))) {
            self.world.tally.note(Fault::MemberAdded);
            self.boot(&name);
        }
    }
}
