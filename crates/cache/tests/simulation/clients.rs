//! Clients: each does one thing after the other, through any master, and tells the model what it was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::cache::Condition;
use api::{ErrorCode, Key};
use cache::front::{Action, Answer, Failure, Operation, Outcome, Write};
use tokio::time::{sleep, timeout};

use super::history::Token;
use super::intent::{Intent, Workload};
use super::model::Verdict;
use super::watched::Watched;
use super::world::World;

/// When a client gives up; masters do sooner.
const PATIENCE: Duration = Duration::from_secs(7);

/// All clients.
pub(crate) struct Clients {
    world: Arc<World>,
    workload: Workload,
    working: Arc<Watched<bool>>,
    busy: Arc<AtomicUsize>,
}

impl Clients {
    pub(crate) fn start(world: &Arc<World>, workload: Workload) -> Self {
        let clients = Self {
            world: Arc::clone(world),
            workload,
            working: Arc::default(),
            busy: Arc::default(),
        };
        for _ in 0..workload.clients {
            let (world, busy, working) = (Arc::clone(world), Arc::clone(&clients.busy), Arc::clone(&clients.working));
            tokio::spawn(async move {
                loop {
                    working.until(|working| *working).await;
                    busy.fetch_add(1, Ordering::Relaxed);
                    act(&world, workload).await;
                    busy.fetch_sub(1, Ordering::Relaxed);
                    sleep(world.random.millis(0, workload.pause_ms)).await;
                }
            });
        }
        clients
    }

    /// Lets them work, or stops them and waits until nothing is under way.
    pub(crate) async fn work(&self, working: bool) {
        self.working.modify(|now| *now = working);
        while !working && self.busy.load(Ordering::Relaxed) > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Every key once.
    pub(crate) async fn write_all(&self) {
        for first in (0..self.workload.keys).step_by(20) {
            let keys = first..self.workload.keys.min(first + 20);
            let puts = keys.map(|number| Intent::put(&self.world, format!("k{number}"), 0, Condition::None));
            carry_out(&self.world, puts.collect()).await;
        }
    }
}

/// One step of a client.
async fn act(world: &Arc<World>, workload: Workload) {
    let count = if world.random.chance(80) {
        world.random.between(2, 12)
    } else {
        1
    };
    let mut intents: Vec<Intent> = Vec::new();
    for _ in 0..count {
        let intent = Intent::any(world, workload);
        // What comes first in a batch decides what comes next: the model knows only single operations.
        if intents.iter().all(|other| other.key != intent.key) {
            intents.push(intent);
        }
    }
    carry_out(world, intents).await;
}

/// Reads a key through one master, for the last look.
pub(crate) async fn read_through(world: &Arc<World>, master: u8, keys: &[String]) -> Vec<Option<Result<Answer, Failure>>> {
    let intents = keys.iter().map(|key| Intent::read(key.clone())).collect();
    carry_out_through(world, master, intents).await
}

async fn carry_out(world: &Arc<World>, intents: Vec<Intent>) {
    let masters: Vec<u8> = world.masters.lock().keys().copied().collect();
    let master = *world.random.pick(&masters);
    carry_out_through(world, master, intents).await;
}

async fn carry_out_through(world: &Arc<World>, master: u8, intents: Vec<Intent>) -> Vec<Option<Result<Answer, Failure>>> {
    let calm = *world.calm.lock();
    let (mut tokens, mut operations) = (Vec::new(), Vec::new());
    for intent in intents {
        let now_us = world.now().as_micros() as u64;
        let mut model = world.model.lock();
        let token = match &intent.change {
            Some(change) => model.begin_write(&intent.key, change.clone(), now_us),
            None => model.begin_read(&intent.key, now_us),
        };
        tokens.push((token, intent.action.clone()));
        operations.push(Operation {
            namespace: "".into(),
            key: Key::try_new(intent.key).expect("a short key is a good one"),
            action: intent.action,
        });
    }
    let through = world.master(master);
    let work = async move {
        match operations.len() {
            1 => vec![through.cache.execute(operations.swap_remove(0)).await],
            _ => through.cache.execute_all(operations).await,
        }
    };
    let freeze = Arc::clone(&world.master(master).freeze);
    let mut task = tokio::spawn({
        let freeze = Arc::clone(&freeze);
        async move { freeze.run(work).await }
    });
    let results: Vec<_> = match timeout(PATIENCE, &mut task).await {
        Ok(Ok(results)) => results.into_iter().map(Some).collect(),
        Ok(Err(panic)) => {
            world.fail(format!("an operation panicked: {panic}"));
            Vec::new()
        }
        Err(_) => {
            if world.random.chance(500) {
                task.abort();
            }
            tokens.iter().map(|_| None).collect()
        }
    };
    for ((token, action), result) in tokens.iter().zip(&results) {
        let verdict = learn(world, master, token, action, result.as_ref());
        world.mark((
            master,
            result.as_ref().map(|result| result.as_ref().map_or(u64::MAX, version_of)),
        ));
        world.tell(|| format!("m{master} {} {token} {}", action.name(), told(result.as_ref())));
        let succeeded = result.as_ref().is_some_and(Result::is_ok);
        if calm.is_some() && calm == *world.calm.lock() && !succeeded {
            world.fail(format!(
                "m{master} failed to {} {token} though nothing is broken: {}",
                action.name(),
                told(result.as_ref())
            ));
        }
        // Somebody who was put out of the ring, and a master who has not heard of that either, may be behind.
        let by_lost = || {
            result.as_ref().is_some_and(|result| {
                result
                    .as_ref()
                    .is_ok_and(|answer| world.was_lost_since(&answer.node, token.began_us))
            })
        };
        if verdict.is_err() && token.is_read() && by_lost() {
            world.model.lock().excused += 1;
        } else if let Err(broken) = verdict {
            world.fail(format!("{broken} (m{master}: {} {})", action.name(), told(result.as_ref())));
        }
    }
    results
}

/// Tells the model what became of an operation.
fn learn(world: &World, master: u8, token: &Token, action: &Action, result: Option<&Result<Answer, Failure>>) -> Verdict {
    let now_us = world.now().as_micros() as u64;
    let mut model = world.model.lock();
    let condition = match action {
        Action::Put(Write { condition, .. }) | Action::Touch { condition, .. } | Action::Delete { condition } => *condition,
        _ => Condition::None,
    };
    let outcome = match result {
        Some(Ok(answer)) => &answer.outcome,
        Some(Err(failure)) if failure.code == ErrorCode::Unavailable => return model.fail(token),
        Some(Err(failure)) if failure.code == ErrorCode::Timeout => {
            model.leave_open(token, true, now_us);
            return Ok(());
        }
        Some(Err(failure)) => return Err(format!("an operation ended with {failure:?}")),
        None => {
            model.leave_open(token, false, now_us);
            return Ok(());
        }
    };
    match outcome {
        Outcome::Hit(found) => {
            let value = String::from_utf8_lossy(&found.value);
            model.found(token, &value, found.version, found.lifetime.expires_at_ms, now_us)
        }
        Outcome::Miss { .. } | Outcome::Loading => {
            if !matches!(action, Action::Get) {
                model.fail(token)?;
            }
            model.missed(token, now_us)
        }
        Outcome::Stored { version, created } => {
            if *created && matches!(action, Action::Put(_)) {
                model.missed(token, now_us)?;
            }
            let replaced = if let Condition::Version(replaced) = condition {
                Some(replaced)
            } else {
                None
            };
            model.acknowledge(token, Some(*version), replaced, now_us)
        }
        Outcome::Deleted { .. } => model.acknowledge_delete(token, master, now_us),
        Outcome::Counter { value, version } => {
            model.counted(token, *value)?;
            model.acknowledge(token, Some(*version), None, now_us)
        }
        Outcome::PreconditionFailed { version } => {
            model.fail(token)?;
            match version {
                0 => model.missed(token, now_us),
                _ => model.not_older(token, *version, now_us),
            }
        }
    }
}

fn version_of(answer: &Answer) -> u64 {
    match &answer.outcome {
        Outcome::Hit(found) => found.version,
        Outcome::Stored { version, .. } | Outcome::Counter { version, .. } | Outcome::PreconditionFailed { version } => *version,
        _ => 0,
    }
}

fn told(result: Option<&Result<Answer, Failure>>) -> String {
    match result {
        Some(Ok(answer)) => match &answer.outcome {
            Outcome::Hit(found) => format!("{}: {:?} as {}", answer.node, found.value, found.version),
            other => format!("{}: {other:?}", answer.node),
        },
        Some(Err(failure)) => format!("{:?}: {failure}", failure.code),
        None => "no answer".to_owned(),
    }
}
