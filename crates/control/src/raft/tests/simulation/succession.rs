//! How long there are no writes after the leader has died, when nothing else is wrong.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use parking_lot::Mutex;

use super::panics;
use super::world::{World, within};
use crate::ControlStore as _;
use crate::raft::MemberRole;

/// Leaders that die in a run.
const DEATHS: u32 = 3;
/// Pause between two writes that are begun.
const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(30);

/// Times from the death of a leader to the first answer to a write that was asked for after it, by the simulated clock.
pub(super) fn times_without_writes(seed: u64, masters: usize) -> Vec<Duration> {
    panics::watch();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let dir = tempfile::tempdir().expect("a directory for locks");
    let times = runtime.expect("a runtime").block_on(run(seed, masters, dir.path()));
    assert_eq!(panics::take(), Vec::<String>::new(), "seed {seed}");
    times
}

async fn run(seed: u64, masters: usize, dir: &Path) -> Vec<Duration> {
    let mut rng = Rng::with_seed(seed);
    let world = World::new(rng.u64(..), masters, None, false, dir);
    world.weather.lock().calm = true;
    let answered = Arc::new(Mutex::new(Vec::new()));
    let mut times = Vec::new();
    for name in world.initial_names() {
        world.boot(&name, false);
    }
    let writer = tokio::spawn(write(Arc::clone(&world), rng.fork(), Arc::clone(&answered)));
    for _ in 0..DEATHS {
        let mut leader = None;
        let whole = within(PATIENCE, async || {
            let Some(members) = world.members().await else { return false };
            leader = members
                .iter()
                .find(|member| member.role == MemberRole::Leader)
                .map(|member| member.name.clone());
            let caught_up = members.iter().all(|member| member.lag.is_some_and(|lag| lag < 5));
            world.running().len() == masters && caught_up && leader.is_some()
        })
        .await;
        assert!(whole, "seed {seed}: the masters do not come to rest");
        tokio::time::sleep(Duration::from_millis(rng.u64(..2_000))).await;
        let Some(leader) = leader else { continue };
        let power = rng.bool();
        world.kill(&leader, power);
        let died = world.trace.now();
        let mut first = None;
        let again = within(PATIENCE, async || {
            let answered = answered.lock();
            let after = answered.iter().filter(|(asked, _)| *asked >= died);
            first = after.map(|(_, at): &(Duration, Duration)| *at).min();
            first.is_some()
        })
        .await;
        assert!(again, "seed {seed}: no write is answered after {leader} died");
        times.extend(first.map(|first| first - died));
        world.boot(&leader, false);
    }
    writer.abort();
    times
}

/// Begins writes one after the other, on any master that runs.
async fn write(world: Arc<World>, mut rng: Rng, answered: Arc<Mutex<Vec<(Duration, Duration)>>>) {
    loop {
        tokio::time::sleep(PAUSE).await;
        let running = world.running();
        if running.is_empty() {
            continue;
        }
        let master = running[rng.usize(..running.len())].clone();
        let (world, answered, asked) = (Arc::clone(&world), Arc::clone(&answered), world.trace.now());
        let process = Arc::clone(&master.process);
        drop(process.spawn(async move {
            if master.store.put("kv/k", Bytes::from_static(b"v"), None).await.is_ok() {
                answered.lock().push((asked, world.trace.now()));
            }
        }));
    }
}
