//! What happens in one run: a workload, faults, time to heal, and a look at everything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use api::member::Phase;
use cluster::RingPolicy;
use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::checks;
use super::clients::Clients;
use super::faults::{Errand, Fault};
use super::freeze::Freeze;
use super::intent::Workload;
use super::leader::lead;
use super::mutant::Mutant;
use super::node::Auxiliary;
use super::world::World;

/// How much goes wrong at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// One fault, then time to heal: all promises hold.
    OneFault,
    /// One node dies, or stands still, in the moments in which the ring settles: all promises hold.
    DeathWhileSettling,
    /// Several at once: entries may be lost, but everything heals, and nothing appears that nobody wrote.
    ManyFaults,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) broken: Option<String>,
    pub(crate) trace: u64,
    pub(crate) reads: u64,
    /// Those that were behind, and may be.
    pub(crate) excused: u64,
}

/// Runs one seed.
pub(crate) fn run(scenario: Scenario, seed: u64, mutant: Mutant, verbose: bool) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let world = World::new(seed, mutant, verbose);
        play(scenario, &world).await;
        let model = world.model.lock();
        let (reads, excused) = (model.reads, model.excused);
        let (acknowledged, failed, unknown) = (model.acknowledged, model.failed, model.unknown);
        drop(model);
        world.tell(|| format!("{reads} reads, {acknowledged} writes acknowledged, {failed} refused, {unknown} unknown"));
        world.end();
        Run {
            broken: world.failure(),
            trace: world.trace_hash(),
            reads,
            excused,
        }
    })
}

async fn play(scenario: Scenario, world: &Arc<World>) {
    let random = &world.random;
    let replicas = if random.chance(250) { 3 } else { 2 };
    let auxiliaries = random.between(3, 5) as u8;
    let with_zones = random.chance(300);
    let policy = RingPolicy {
        virtual_nodes: random.between(4, 12) as u32,
        replicas,
    };
    for number in 0..5 {
        let slot = Auxiliary {
            weight: 1,
            zone: with_zones.then(|| format!("z{}", number % 3)),
            ahead: skew(world),
            life: None,
            backup: Vec::new(),
        };
        world.auxiliaries.lock().insert(number, slot);
    }
    if random.chance(300) {
        world.links.modify(|links| (links.replays, links.usual_replays) = (30, 30));
    }
    for number in 0..auxiliaries {
        world.start_auxiliary(number, &[]);
    }
    for number in 0..random.between(2, 3) as u8 {
        world.start_master(number, &skew(world));
    }
    let leader = Freeze::new();
    tokio::spawn(lead(Arc::clone(world), Arc::clone(&leader), policy));
    checks::stable(world).await;
    let workload = Workload {
        keys: random.between(20, 150),
        counters: 5,
        clients: random.between(3, 8),
        pause_ms: if world.mutant.needs_heat() {
            20
        } else {
            *random.pick(&[30, 200, 800])
        },
        heat: if world.mutant.needs_heat() {
            950
        } else {
            *random.pick(&[330, 330, 900])
        },
    };
    let clients = Clients::start(world, workload);
    clients.write_all().await;
    *world.calm.lock() = Some(Instant::now());
    world.model.lock().lenient = scenario == Scenario::ManyFaults;
    for _ in 0..random.between(2, 4) {
        if world.failure().is_some() {
            return;
        }
        round(scenario, world, &clients, &leader, replicas as usize).await;
    }
    if world.failure().is_none() {
        checks::reads(world).await;
    }
}

fn skew(world: &World) -> Arc<AtomicI64> {
    Arc::new(AtomicI64::new(world.random.between(0, 100_000) as i64 - 50_000))
}

async fn round(scenario: Scenario, world: &Arc<World>, clients: &Clients, leader: &Freeze, replicas: usize) {
    let random = &world.random;
    clients.work(true).await;
    sleep(random.millis(100, 1_500)).await;
    if random.chance(400) {
        Errand::any(world, replicas).run(world).await;
        sleep(random.millis(0, 500)).await;
    }
    *world.calm.lock() = None;
    match scenario {
        Scenario::OneFault if random.chance(70) => restart_everything(world, replicas).await,
        Scenario::OneFault if random.chance(400) => {
            // In the midst of a change of the ring.
            let (errand, fault, wait) = (Errand::any(world, replicas + 1), Fault::any(world), random.millis(0, 400));
            let strike = async {
                sleep(wait).await;
                fault.strike(world, leader).await;
            };
            tokio::join!(errand.run(world), strike);
        }
        Scenario::OneFault => Fault::any(world).strike(world, leader).await,
        Scenario::DeathWhileSettling => {
            let (errand, fault) = (Errand::any(world, replicas + 1), Fault::death(world));
            let wait = random.millis(0, 60);
            let strike = async {
                settling(world).await;
                sleep(wait).await;
                fault.strike(world, leader).await;
            };
            tokio::join!(errand.run(world), strike);
        }
        Scenario::ManyFaults => many(world, leader).await,
    }
    sleep(random.millis(0, 1_000)).await;
    checks::stable(world).await;
    // What lingered on the links has arrived, and pings have found out.
    sleep(Duration::from_secs(2)).await;
    checks::stable(world).await;
    *world.calm.lock() = Some(Instant::now());
    sleep(random.millis(100, 1_000)).await;
    for slot in world.auxiliaries.lock().values_mut() {
        if let Some(life) = &slot.life {
            slot.backup = life.back_up();
        }
    }
    clients.work(false).await;
    checks::stable(world).await;
    sleep(Duration::from_millis(200)).await;
    if world.failure().is_none() {
        checks::copies(world);
    }
}

/// Waits until the ring settles; not for long, for an errand may change nothing.
async fn settling(world: &World) {
    let until = Instant::now() + Duration::from_secs(5);
    let settles = || world.control.record().is_some_and(|record| record.phase == Phase::Settling);
    while !settles() && Instant::now() < until {
        sleep(Duration::from_millis(1)).await;
    }
}

async fn many(world: &Arc<World>, leader: &Freeze) {
    let count = world.random.between(2, 4);
    let faults: Vec<_> = (0..count)
        .map(|_| (world.random.millis(0, 4_000), Fault::any(world)))
        .collect();
    join_all(faults.into_iter().map(|(wait, fault)| async move {
        sleep(wait).await;
        fault.strike(world, leader).await;
    }))
    .await;
}

/// Everything is killed, and comes back with what was backed up some time ago.
async fn restart_everything(world: &Arc<World>, replicas: usize) {
    let random = &world.random;
    let saved = world.model.lock().save();
    let numbers: Vec<u8> = world.lives().iter().filter_map(|life| life.number()).collect();
    let mut backups = BTreeMap::new();
    for number in &numbers {
        sleep(random.millis(0, 200)).await;
        backups.insert(*number, world.life(*number).map(|life| life.back_up()).unwrap_or_default());
    }
    sleep(random.millis(0, 2_000)).await;
    if random.chance(400) {
        for _ in 0..random.between(1, 3) {
            match Errand::any(world, replicas) {
                // Its backup would be gone with it.
                Errand::Drain { .. } => {}
                errand => errand.run(world).await,
            }
        }
    }
    world.tell(|| "FAULT everything is killed".to_owned());
    let numbers: Vec<u8> = world.lives().iter().filter_map(|life| life.number()).collect();
    for number in &numbers {
        world.kill_auxiliary(*number);
    }
    world.model.lock().restart(&saved);
    for number in numbers {
        sleep(random.millis(0, 1_500)).await;
        world.start_auxiliary(number, backups.get(&number).map_or(&[], Vec::as_slice));
    }
}
