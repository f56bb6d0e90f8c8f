//! The clients: one request at a time each, another door after a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::door::Reply;
use super::plan::{Plan, Step};
use super::{Condition, Door, Event, Key, Op, Outcome};

/// Pause after a request that failed at once, so that a dead door is not hammered.
const AFTER_FAILURE: Duration = Duration::from_millis(50);
/// Pause between two requests for a probe key, and so the resolution of outages.
const PROBE_PAUSE: Duration = Duration::from_millis(80);

/// What all clients share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) doors: Arc<Vec<Door>>,
    pub(super) began: Instant,
    pub(super) stop: Arc<AtomicBool>,
}

/// A client under way.
struct Client {
    shared: Shared,
    door: usize,
    events: Vec<Event>,
}

impl Shared {
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn client(&self, door: usize) -> Client {
        Client {
            shared: self.clone(),
            door: door % self.doors.len(),
            events: Vec::new(),
        }
    }

    /// Writes every key of a plan once, each as often as it takes.
    ///
    /// # Panics
    /// When one is not written in the end.
    pub(super) async fn fill(&self, plan: &mut Plan) -> Vec<Event> {
        let mut client = self.client(plan.door(self.doors.len()));
        for step in plan.first() {
            let reply = client.ask(&step).await;
            let outcome = &reply.outcome;
            assert!(
                matches!(outcome, Outcome::Done(_)),
                "{} before the fault: {outcome:?}",
                step.key
            );
            plan.learn(&step, &reply);
        }
        client.events
    }

    /// Follows a plan until told to stop.
    pub(super) async fn follow(self, mut plan: Plan) -> Vec<Event> {
        let mut client = self.client(plan.door(self.doors.len()));
        while !self.stop.load(Ordering::Relaxed) {
            let step = plan.next();
            let reply = client.ask(&step).await;
            plan.learn(&step, &reply);
            tokio::time::sleep(plan.pause()).await;
        }
        client.events
    }

    /// Reads or writes one probe key until told to stop.
    pub(super) async fn probe(self, number: u16, writes: bool) -> Vec<Event> {
        let mut client = self.client(usize::from(number));
        let mut write = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let op = if writes {
                write += 1;
                Op::Put {
                    write,
                    ttl: None,
                    condition: Condition::None,
                }
            } else {
                Op::Get
            };
            client.ask(&Step::plain(Key::Probe(number), op)).await;
            tokio::time::sleep(PROBE_PAUSE).await;
        }
        client.events
    }
}

impl Client {
    async fn ask(&mut self, step: &Step) -> Reply {
        let invoked = self.shared.now();
        let door = self.door;
        let reply = self.shared.doors[door].ask(step.key, step.op, step.etag.as_deref()).await;
        self.events.push(Event {
            key: step.key,
            op: step.op,
            door,
            invoked,
            returned: self.shared.now(),
            outcome: reply.outcome.clone(),
            source: reply.source(),
        });
        if matches!(reply.outcome, Outcome::NotExecuted(_) | Outcome::Unknown(_)) {
            self.door = (door + 1) % self.shared.doors.len();
            tokio::time::sleep(AFTER_FAILURE).await;
        }
        reply
    }
}
