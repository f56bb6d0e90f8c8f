//! One watcher: follows the keys of the run, leaves now and then, and goes on elsewhere where it left off.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures::StreamExt;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep, sleep_until};

use super::Shared;
use crate::history::Seen;
use crate::target::{COMPACTED, Change, Changes, Position};

/// Pause before another attempt.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest time on one stream: every stream must be resumable.
const LONGEST: Duration = Duration::from_secs(4);

/// What watchers watch, each one of them: every key of the run, or those of one kind.
pub(super) const KINDS: [&str; 5] = ["", "-txn", "-list", "-reg", "-cas"];

pub(super) struct Watcher {
    shared: Arc<Shared>,
    rng: Rng,
    process: u32,
    target: usize,
    prefix: String,
    /// Where to go on.
    position: Position,
    /// First revision that it has not been shown all of.
    next: u64,
}

impl Watcher {
    /// From a revision on.
    pub(super) fn new(shared: Arc<Shared>, seed: u64, number: u32, from: u64) -> Self {
        let kind = KINDS[number as usize % KINDS.len()];
        Self {
            rng: Rng::with_seed(seed ^ (u64::from(number) << 48) ^ 1),
            process: shared.recorder.process(),
            target: number as usize,
            prefix: format!("{}{kind}", shared.prefix),
            shared,
            position: Position::From(from),
            next: from,
        }
    }

    /// Until the last revision has been seen, or a later one.
    pub(super) async fn run(mut self, mut last: Receiver<Option<u64>>) {
        loop {
            let target = self.shared.target(self.target);
            match target.watch(&self.prefix, &self.position).await {
                Ok(changes) => {
                    let (prefix, from) = (self.prefix.clone(), self.next);
                    self.shared.seen(self.process, Seen::Opened { prefix, from });
                    if self.follow(changes, &mut last).await {
                        return;
                    }
                }
                Err(reason) if reason == COMPACTED => self.start_anew().await,
                Err(_) => {}
            }
            self.target += 1;
            sleep(PAUSE).await;
        }
    }

    /// Follows one stream to its end; whether everything has been seen.
    async fn follow(&mut self, mut changes: Changes, last: &mut Receiver<Option<u64>>) -> bool {
        let leave = sleep_until(Instant::now() + LONGEST.mul_f64(self.rng.f64()));
        tokio::pin!(leave);
        // Whether it can go on after what it was shown last; left before that, it would be shown some changes twice.
        let mut resumable = true;
        loop {
            let end = *last.borrow_and_update();
            if let Some(end) = end
                && self.next > end
            {
                self.shared.seen(self.process, Seen::Closed { revision: end });
                return true;
            }
            let change = tokio::select! {
                change = changes.next() => change.unwrap_or_else(|| Change::Broken("the stream ended".to_owned())),
                () = &mut leave, if resumable => Change::Broken("left".to_owned()),
                _ = last.changed() => continue,
            };
            match change {
                Change::Key {
                    key,
                    value,
                    revision,
                    whole,
                    resume,
                } => {
                    self.shared.seen(self.process, Seen::Change { key, value, revision });
                    resumable = resume.is_some();
                    if let Some(position) = resume {
                        self.position = position;
                        self.next = revision + u64::from(whole);
                    }
                }
                Change::Compacted => {
                    self.start_anew().await;
                    return false;
                }
                Change::Broken(reason) => {
                    self.shared.seen(self.process, Seen::Broken { reason });
                    return false;
                }
            }
        }
    }

    /// What it wanted is gone: it goes on with what is written from now on.
    async fn start_anew(&mut self) {
        self.shared.seen(self.process, Seen::Compacted);
        let marked = self
            .shared
            .mark(&self.shared.targets(), "watch", Duration::from_secs(5))
            .await;
        if let Ok(revision) = marked {
            self.next = revision;
            self.position = Position::From(revision);
        }
    }
}
