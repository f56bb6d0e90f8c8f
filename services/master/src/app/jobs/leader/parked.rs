//! Polls that are held back until there is something to say.

use std::collections::BTreeMap;

use api::task::{PollRequest, PollResponse};
use api::{BootId, NodeId};
use jobs::{Millis, Scheduler};
use tokio::sync::oneshot;

/// Longest time a poll is held back, whatever the worker allows.
const LONGEST_WAIT: Millis = 10_000;

/// At most one poll of each worker; a newer one replaces it.
#[derive(Debug, Default)]
pub(super) struct Parked {
    polls: BTreeMap<NodeId, Poll>,
}

#[derive(Debug)]
struct Poll {
    boot: BootId,
    until: Millis,
    answer: oneshot::Sender<PollResponse>,
}

/// An answer that is to be sent.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) worker: NodeId,
    pub(super) boot: BootId,
    pub(super) response: PollResponse,
    pub(super) to: oneshot::Sender<PollResponse>,
}

impl Parked {
    /// Takes in a poll; it is answered by the next [`Parked::serve`] at the earliest.
    pub(super) fn add(&mut self, now: Millis, poll: PollRequest, answer: oneshot::Sender<PollResponse>) {
        let until = now + poll.wait_ms.min(LONGEST_WAIT);
        self.polls.insert(
            poll.worker,
            Poll {
                boot: poll.boot_id,
                until,
                answer,
            },
        );
    }

    /// Takes every poll for which there is something to say, idle workers first, or whose time is up, with its answer.
    pub(super) fn serve(&mut self, now: Millis, scheduler: &mut Scheduler) -> Vec<Answer> {
        let mut workers: Vec<NodeId> = self.polls.keys().cloned().collect();
        workers.sort_by_key(|worker| scheduler.busy_slots(worker));
        let mut answers = Vec::new();
        for worker in workers {
            let Some(poll) = self.polls.get(&worker) else { continue };
            if poll.answer.is_closed() {
                self.polls.remove(&worker);
                continue;
            }
            let response = if poll.until <= now {
                Some(scheduler.answer(now, &worker))
            } else {
                scheduler.offer(now, &worker)
            };
            let Some(response) = response else { continue };
            if let Some(poll) = self.polls.remove(&worker) {
                answers.push(Answer {
                    worker,
                    boot: poll.boot,
                    response,
                    to: poll.answer,
                });
            }
        }
        answers
    }

    /// Held-back polls whose connections are open are signs of life.
    pub(super) fn touch(&self, now: Millis, scheduler: &mut Scheduler) {
        for (worker, poll) in self.polls.iter().filter(|(_, poll)| !poll.answer.is_closed()) {
            scheduler.touch(now, worker, poll.boot);
        }
    }
}
