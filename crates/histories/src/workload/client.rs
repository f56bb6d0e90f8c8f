//! One client: a request at a time, another way after a failure.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::plan::Plan;
use crate::target::Outcome;

/// Pause after a failure, so that a dead target is not hammered.
const AFTER_FAILURE: Duration = Duration::from_millis(30);

pub(super) struct Client {
    shared: Arc<Shared>,
    plan: Plan,
    process: u32,
    target: usize,
}

impl Client {
    pub(super) fn new(shared: Arc<Shared>, plan: Plan, number: u32) -> Self {
        let process = shared.recorder.process();
        let target = number as usize;
        Self {
            shared,
            plan,
            process,
            target,
        }
    }

    pub(super) async fn run(mut self) {
        while !self.shared.stop.is_cancelled() {
            self.step().await;
        }
    }

    async fn step(&mut self) {
        let value = self.shared.value();
        let op = self.plan.next(self.shared.generation(), value);
        let target = self.shared.target(self.target);
        let outcome = self.shared.ask(&mut self.process, target.as_ref(), &op).await;
        let pause = match &outcome {
            Outcome::Done(answer) => {
                self.plan.learn(&op, answer);
                self.plan.pause(self.shared.pause)
            }
            Outcome::NotExecuted(_) | Outcome::Unknown(_) => {
                self.plan.forget(&op);
                self.target += 1;
                AFTER_FAILURE
            }
        };
        // Now and then by another way, so that every one is used also when all is well.
        if self.plan.moves() {
            self.target += 1;
        }
        tokio::time::sleep(pause).await;
    }
}
