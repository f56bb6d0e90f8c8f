//! The network between simulated masters: our own wire messages, late, lost, twice, out of order, or not at all.
//!
//! What stays true, as of any transport of ours: of a request that is said not to have been sent nothing arrives, and a call of
//! the store arrives at most once. Everything else may happen to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fastrand::Rng;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_64;

use super::Mutant;
use super::faults::Fault;
use super::world::{World, name_of};
use crate::raft::network::message::{Call, Reply, StoreOp, decode_answer, decode_request};
use crate::raft::network::{Answer, Body, Network, NetworkError, Request, read_head, write_head};

/// Longer than anybody waits for an answer.
const FOR_EVER: Duration = Duration::from_secs(120);

/// A message that takes longer is late.
const SLOW: Duration = Duration::from_millis(10);

type Outcome = Result<Answer, NetworkError>;

/// What the network is like just now.
#[derive(Debug, Default)]
pub(super) struct Weather {
    /// Ways on which nothing passes: from, to.
    cut: BTreeSet<(String, String)>,
    /// Whether much is lost and late.
    pub(super) stormy: bool,
    /// Whether nothing is lost or late, or comes twice.
    pub(super) calm: bool,
    /// Messages sent from one to another, and the latest of them that has come.
    ways: BTreeMap<(String, String), (u64, u64)>,
}

/// How much goes wrong by itself.
#[derive(Debug, Clone, Copy)]
enum Sky {
    Calm,
    Usual,
    Stormy,
}

impl Weather {
    pub(super) fn cut(&mut self, from: &str, to: &str) {
        self.cut.insert((from.to_owned(), to.to_owned()));
    }

    pub(super) fn clear(&mut self) {
        self.cut.clear();
        self.stormy = false;
    }

    /// Number of a message on its way.
    fn sent(&mut self, from: &str, to: &str) -> u64 {
        let (sent, _) = self.ways.entry((from.to_owned(), to.to_owned())).or_default();
        *sent += 1;
        *sent
    }

    /// It has come; whether a later one came before it.
    fn came(&mut self, from: &str, to: &str, number: u64) -> bool {
        let (_, latest) = self.ways.entry((from.to_owned(), to.to_owned())).or_default();
        let overtaken = number < *latest;
        *latest = number.max(*latest);
        overtaken
    }

    const fn sky(&self) -> Sky {
        match (self.calm, self.stormy) {
            (true, _) => Sky::Calm,
            (false, false) => Sky::Usual,
            (false, true) => Sky::Stormy,
        }
    }

    fn passes(&self, from: &str, to: &str) -> bool {
        !self.cut.contains(&(from.to_owned(), to.to_owned()))
    }
}

/// A master's way to the others.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) own: String,
    pub(super) world: Arc<World>,
}

#[async_trait]
impl Network for Wire {
    async fn call(&self, address: &str, request: Request, deadline: Duration) -> Outcome {
        let route = request.call.name();
        let bytes = request.encode().map_err(NetworkError::NotSent)?;
        self.post(address, route, Load::Message(bytes.into()), deadline).await
    }

    async fn send(&self, address: &str, request: Request, body: Body, deadline: Duration) -> Outcome {
        let route = request.call.name();
        let mut body = write_head(&request, body).map_err(NetworkError::NotSent)?;
        let mut chunks = Vec::new();
        while let Some(chunk) = body.next().await {
            chunks.push(chunk.map_err(|error| NetworkError::NotSent(error.to_string()))?);
        }
        self.post(address, route, Load::Stream(chunks), deadline).await
    }
}

impl Wire {
    async fn post(&self, address: &str, route: &'static str, load: Load, deadline: Duration) -> Outcome {
        let parcel = Parcel {
            from: self.own.clone(),
            to: name_of(address),
            route,
            load,
        };
        let (sender, answer) = oneshot::channel();
        // On its way it is no part of the sender any more.
        tokio::spawn(carry(Arc::clone(&self.world), parcel, Some(sender)));
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(NetworkError::Unknown("the connection broke".to_owned())),
            Err(_) => Err(NetworkError::Unknown(format!("no answer within {deadline:?}"))),
        }
    }
}

#[derive(Debug, Clone)]
enum Load {
    Message(Bytes),
    Stream(Vec<Bytes>),
}

#[derive(Debug, Clone)]
struct Parcel {
    from: String,
    to: String,
    route: &'static str,
    load: Load,
}

/// What becomes of a message, decided when it is sent.
#[derive(Debug)]
struct Fate {
    there: Duration,
    back: Duration,
    lost_there: bool,
    lost_back: bool,
    /// How the sender of what is lost hears of it.
    loss: Loss,
    /// It arrives again, so much later.
    again: Option<Duration>,
    /// Chunks of a stream that come through.
    chunks: usize,
}

#[derive(Debug, Clone, Copy)]
enum Loss {
    Silence,
    Broken,
    /// Only of what did not arrive.
    Refused,
}

impl Fate {
    fn of(parcel: &Parcel, sky: Sky, mutant: Option<Mutant>, rng: &mut Rng) -> Self {
        let (late, odds, twice) = match sky {
            Sky::Calm => (0, 0, 0),
            Sky::Usual => (20, 4, 30),
            Sky::Stormy => (250, 150, 30),
        };
        let mut delay = || {
            let slow = rng.u32(..1000) < late;
            Duration::from_micros(rng.u64(if slow { 10_000..700_000 } else { 300..4_000 }))
        };
        let (there, back) = (delay(), delay());
        let mut happens = |odds| rng.u32(..1000) < odds;
        let (lost_there, lost_back) = (happens(odds), happens(odds));
        // Calls of the store are never sent twice.
        let again = match parcel.route {
            "store" => happens(100) && mutant == Some(Mutant::RepeatedForwards),
            "append" | "vote" | "pre-vote" | "transfer" | "read-index" => happens(twice),
            _ => false,
        };
        let loss = [Loss::Silence, Loss::Broken, Loss::Refused][rng.usize(..3)];
        let chunks = match &parcel.load {
            Load::Stream(chunks) if late > 0 && rng.u32(..1000) < 100 => rng.usize(..chunks.len()),
            _ => usize::MAX,
        };
        let again = again.then(|| Duration::from_micros(rng.u64(..400_000)));
        Self {
            there,
            back,
            lost_there,
            lost_back,
            loss,
            again,
            chunks,
        }
    }
}

fn carry(world: Arc<World>, parcel: Parcel, sender: Option<oneshot::Sender<Outcome>>) -> BoxFuture<'static, ()> {
    carry_on(world, parcel, sender).boxed()
}

async fn carry_on(world: Arc<World>, parcel: Parcel, sender: Option<oneshot::Sender<Outcome>>) {
    let (from, to) = (parcel.from.clone(), parcel.to.clone());
    let (sky, number) = {
        let mut weather = world.weather.lock();
        (weather.sky(), weather.sent(&from, &to))
    };
    let fate = Fate::of(&parcel, sky, world.mutant, &mut world.rng.lock());
    if fate.there.max(fate.back) >= SLOW {
        world.tally.note(Fault::MessageDelayed);
    }
    if let Some(later) = fate.again.filter(|_| sender.is_some()) {
        let (world, parcel) = (Arc::clone(&world), parcel.clone());
        world.tally.note(Fault::MessageDoubled);
        tokio::spawn(async move {
            tokio::time::sleep(later).await;
            carry(world, parcel, None).await;
        });
    }
    tokio::time::sleep(fate.there).await;
    if fate.lost_there || !world.weather.lock().passes(&from, &to) {
        world.tally.note(Fault::MessageLost);
        return lose(fate.loss, sender).await;
    }
    if world.weather.lock().came(&from, &to, number) {
        world.tally.note(Fault::MessageOvertaken);
    }
    let Some(answered) = deliver(&world, parcel, fate.chunks) else {
        return lose(Loss::Refused, sender).await;
    };
    let Some(answer) = answered.await else {
        return lose(Loss::Broken, sender).await;
    };
    tokio::time::sleep(fate.back).await;
    if fate.lost_back || !world.weather.lock().passes(&to, &from) {
        world.tally.note(Fault::AnswerLost);
        let loss = if matches!(fate.loss, Loss::Refused) {
            Loss::Silence
        } else {
            fate.loss
        };
        return lose(loss, sender).await;
    }
    if let Some(sender) = sender {
        // Whoever asked may have given up.
        let _ = sender.send(decode_answer(&answer).map_err(NetworkError::Unknown));
    }
}

async fn lose(loss: Loss, sender: Option<oneshot::Sender<Outcome>>) {
    let Some(sender) = sender else { return };
    match loss {
        Loss::Silence => tokio::time::sleep(FOR_EVER).await,
        Loss::Broken => {}
        Loss::Refused => drop(sender.send(Err(NetworkError::NotSent("it cannot be reached".to_owned())))),
    }
}

/// Brings a message to the process that listens, if one does. The answer is none when that ends before it has answered.
fn deliver(world: &Arc<World>, parcel: Parcel, chunks: usize) -> Option<impl Future<Output = Option<Bytes>> + use<>> {
    let (process, endpoint) = world.listening(&parcel.to)?;
    let Parcel { from, to, route, load } = parcel;
    let seen = match &load {
        Load::Message(bytes) => xxh3_64(bytes),
        Load::Stream(chunks) => chunks.iter().fold(0, |hash, chunk| hash ^ xxh3_64(chunk)),
    };
    world.trace.note(format_args!("{from} > {to} {route} {seen:016x}"));
    let world = Arc::clone(world);
    let answered = process.spawn(async move {
        let answer = match load {
            Load::Message(bytes) => {
                let mut request = decode_request(&bytes).ok()?;
                world.forge_request(&from, &mut request);
                if world.mutant == Some(Mutant::ReadsWithoutIndex) && matches!(request.call, Call::ReadIndex) {
                    Answer {
                        id: endpoint.identity.id(),
                        store: endpoint.identity.store(),
                        full: false,
                        disowned: false,
                        outcome: Ok(Reply::ReadIndex(0)),
                    }
                } else {
                    if let Call::Store {
                        op: StoreOp::Propose(_), ..
                    } = &request.call
                    {
                        world.trace.note(format_args!("{to} is asked to propose by {from}"));
                    }
                    endpoint.answer(request).await
                }
            }
            Load::Stream(all) => {
                let broken = chunks < all.len();
                world.tally.note(if broken {
                    Fault::SnapshotBrokenOff
                } else {
                    Fault::SnapshotSent
                });
                let mut parts: Vec<std::io::Result<Bytes>> = all.into_iter().take(chunks).map(Ok).collect();
                if broken {
                    parts.push(Err(std::io::Error::other("the connection broke")));
                }
                let (request, rest) = read_head(futures::stream::iter(parts).boxed()).await.ok()?;
                endpoint.receive(request, rest).await
            }
        };
        let mut answer = answer;
        world.forge_answer(&to, &mut answer);
        answer.encode().ok().map(Bytes::from)
    });
    Some(async move { answered.await.ok().flatten() })
}
