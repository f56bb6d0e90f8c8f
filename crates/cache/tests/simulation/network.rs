//! The network: frames are late, get lost, arrive twice; links are cut one way or both.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use api::{Epoch, ErrorCode};
use async_trait::async_trait;
use bytes::Bytes;
use cache::owner::{Call, Refused};
use cache::{CallError, Kind, Peers};
use cluster::Owner;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::freeze::Freeze;
use super::node::Life;
use super::world::{Place, World};

/// Longest wait of a frame that a cut link holds up; longer cuts lose it.
const LINGER: Duration = Duration::from_secs(20);

type Answer = Result<Bytes, CallError>;

/// The way from one life of a node to all others.
pub(crate) struct Wire {
    world: Arc<World>,
    from: Place,
    freeze: Arc<Freeze>,
}

impl Wire {
    pub(crate) fn new(world: &Arc<World>, from: Place, freeze: &Arc<Freeze>) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            from,
            freeze: Arc::clone(freeze),
        })
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wire of {}", self.from)
    }
}

#[async_trait]
impl Peers for Wire {
    async fn call(&self, to: &Owner, kind: Kind, epoch: Epoch, body: Bytes, deadline: Duration) -> Answer {
        self.freeze.running().await;
        let world = &self.world;
        let frame = Frame {
            world: Arc::clone(world),
            from: self.from,
            to: Place::of(&to.id),
            call: Call {
                kind,
                boot_id: to.boot_id,
                epoch,
                skew: world.skew(self.from, Place::of(&to.id)),
            },
            body,
            deadline,
        };
        if let Some(answer) = world.mutant.instead(&frame) {
            return answer;
        }
        let fate = Fate::of(world, kind);
        let (back, answer) = oneshot::channel();
        tokio::spawn(async move {
            if let Some(answered) = frame.travel(fate).await {
                drop(back.send(answered));
            } else {
                // Nobody ever says that it is lost.
                sleep(deadline).await;
            }
        });
        let answer = timeout(deadline, answer).await;
        self.freeze.running().await;
        match answer {
            Ok(Ok(answer)) => answer,
            _ => Err(CallError::Unknown("nothing came back".to_owned())),
        }
    }
}

/// What happens to a call on its way.
#[derive(Debug, Clone, Copy)]
struct Fate {
    there: Duration,
    back: Duration,
    lost_there: bool,
    lost_back: bool,
    /// Whether the caller hears of a loss, and does not wait for nothing.
    heard: bool,
    /// Whether a cut link holds the frame up, and does not lose it.
    lingers: bool,
    /// Whether the work ends when the caller gives up.
    dropped: bool,
    /// Whether it arrives once more, so much later.
    again: Option<Duration>,
}

impl Fate {
    fn of(world: &World, kind: Kind) -> Self {
        let random = &world.random;
        let (loss, replays) = {
            let links = world.links.borrow();
            (links.loss, links.replays)
        };
        // No master sends a batch twice over one way; primaries send a frame until it is answered.
        let replayed = kind != Kind::Batch && random.chance(replays);
        let dice = random.next();
        let coin = |bit: u32| dice >> bit & 1 == 1;
        let delay = |number: u64| {
            let slow = if number.is_multiple_of(64) { 40 } else { 0 };
            Duration::from_millis(number / 64 % 3 + slow)
        };
        Self {
            there: delay(dice >> 8 & 0xffff),
            back: delay(dice >> 24 & 0xffff),
            lost_there: loss > 0 && random.chance(loss),
            lost_back: loss > 0 && random.chance(loss),
            heard: coin(0),
            lingers: coin(1),
            dropped: coin(2),
            again: replayed.then(|| random.millis(5, 9_000)),
        }
    }

    const fn lossless() -> Self {
        Self {
            there: Duration::ZERO,
            back: Duration::ZERO,
            lost_there: false,
            lost_back: false,
            heard: false,
            lingers: false,
            dropped: false,
            again: None,
        }
    }
}

/// A call on its way.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) world: Arc<World>,
    pub(crate) from: Place,
    pub(crate) to: Place,
    pub(crate) call: Call,
    pub(crate) body: Bytes,
    deadline: Duration,
}

impl Frame {
    /// There and back; none when it is lost without a word.
    async fn travel(self, fate: Fate) -> Option<Answer> {
        let world = &self.world;
        sleep(fate.there).await;
        if fate.lost_there || !self.passes(self.from, self.to, fate).await {
            return fate.heard.then(|| Err(CallError::NotExecuted("no way there".to_owned())));
        }
        let Place::Auxiliary(number) = self.to else { return None };
        let Some(life) = world.life(number) else {
            return fate
                .heard
                .then(|| Err(CallError::NotExecuted("nobody listens there".to_owned())));
        };
        if let Some(late) = fate.again {
            let again = self.clone();
            tokio::spawn(async move {
                sleep(late).await;
                again.arrive_again().await;
            });
        }
        let answer = self.execute(&life, fate).await?;
        sleep(fate.back).await;
        if fate.lost_back || !self.passes(self.to, self.from, fate).await {
            return fate.heard.then(|| Err(CallError::Unknown("the connection broke".to_owned())));
        }
        Some(answer)
    }

    async fn arrive_again(self) {
        let Place::Auxiliary(number) = self.to else { return };
        if let Some(life) = self.world.life(number) {
            self.execute(&life, Fate::lossless()).await;
        }
    }

    async fn execute(&self, life: &Arc<Life>, fate: Fate) -> Option<Answer> {
        let call = self.world.mutant.disguise(self.call, life);
        let before = life.owner.epoch();
        let work = life.freeze.run(life.owner.answer(call, self.body.clone()));
        let answer = if fate.dropped {
            timeout(self.deadline, work).await.ok()?
        } else {
            work.await
        };
        if life.owner.epoch() < before {
            self.world.fail(format!("{} went back from epoch {before}", life.place));
        }
        if let Ok(answer) = &answer {
            super::spy::look(self, answer);
        }
        self.world
            .mark((self.from, self.to, self.call.kind as u8, self.call.epoch.0, answer.is_ok()));
        Some(answer.map_err(|refused| match refused {
            Refused::OtherLife { .. } | Refused::OtherEpoch { .. } | Refused::Stranger(_) | Refused::Overtaken => {
                CallError::Refused(refused.to_string())
            }
            other => CallError::Failed(ErrorCode::Internal, other.to_string()),
        }))
    }

    /// Whether it gets over a link; waits for one that is cut, if it lingers.
    async fn passes(&self, from: Place, to: Place, fate: Fate) -> bool {
        if self.world.reaches(from, to) {
            return true;
        }
        let healed = self.world.links.until(|links| !links.cut.contains(&(from, to)));
        fate.lingers && timeout(LINGER, healed).await.is_ok()
    }
}
