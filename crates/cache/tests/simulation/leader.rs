//! The leader: probes nodes, decides with the real function of the ring's changes, and writes what it says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::NodeId;
use api::cache::MasterStatus;
use api::member::{Phase, RingRecord};
use cluster::RingPolicy;
use cluster::change::{Health, Report, Request, Seen, moot, next, stranded};
use tokio::time::{Instant, sleep};

use super::freeze::Freeze;
use super::world::{Place, World};

/// Pauses between probes: as the ring is stable, and while a phase waits.
const PACE: Duration = Duration::from_millis(250);
const IMPATIENT: Duration = Duration::from_millis(50);
/// Before the second attempt, which follows any failed one; the first one waited as long as the pace for an answer.
const SECOND_ATTEMPT: Duration = Duration::from_millis(100);
const OVERDUE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);

/// Leads for ever; now and then another node takes over, who has seen nothing yet.
pub(crate) async fn lead(world: Arc<World>, freeze: Arc<Freeze>, policy: RingPolicy) {
    freeze
        .run(async {
            loop {
                let term = world.random.millis(5_000, 120_000);
                let mut term_of = Term::new(&world, policy);
                tokio::time::timeout(term, term_of.run()).await.ok();
                world.tell(|| "another leader".to_owned());
            }
        })
        .await;
}

struct Term<'a> {
    world: &'a Arc<World>,
    policy: RingPolicy,
    health: BTreeMap<NodeId, Health>,
    held_since: Instant,
    stranded_since: Option<Instant>,
}

impl<'a> Term<'a> {
    fn new(world: &'a Arc<World>, policy: RingPolicy) -> Self {
        Self {
            world,
            policy,
            health: BTreeMap::new(),
            held_since: Instant::now(),
            stranded_since: None,
        }
    }

    async fn run(&mut self) {
        loop {
            let record = self.world.control.record();
            let stable = record.as_ref().is_some_and(|record| record.phase == Phase::Stable);
            sleep(if stable { PACE } else { IMPATIENT }).await;
            self.world.control.expire_leases();
            let silent = self.probe(None);
            if !silent.is_empty() {
                sleep(PACE + SECOND_ATTEMPT).await;
                self.probe(Some(&silent));
            }
            self.look();
        }
    }

    /// Probes these, or everybody; who did not answer.
    fn probe(&mut self, only: Option<&[NodeId]>) -> Vec<NodeId> {
        let mut targets = self.world.control.registered();
        let routing = self.world.control.routing();
        let lapsed: Vec<_> = routing.nodes().filter_map(|node| routing.node(node)).collect();
        let mut lives: BTreeMap<NodeId, _> = lapsed.iter().map(|owner| (owner.id.clone(), owner.boot_id)).collect();
        lives.extend(
            std::mem::take(&mut targets)
                .into_iter()
                .map(|(id, member)| (id, member.boot_id)),
        );
        self.health.retain(|id, _| lives.contains_key(id));
        let mut silent = Vec::new();
        for (id, boot_id) in lives {
            if only.is_some_and(|only| !only.contains(&id)) {
                continue;
            }
            let health = self.health.entry(id.clone()).or_insert_with(|| Health::new(boot_id));
            if health.boot_id != boot_id {
                *health = Health::new(boot_id);
            }
            let place = Place::of(&id);
            let life = match place {
                Place::Auxiliary(number) => self.world.life(number),
                _ => None,
            };
            let answers =
                life.filter(|life| life.boot_id == boot_id && life.freeze.is_running() && self.world.talks(Place::Leader, place));
            if let Some(life) = answers {
                health.answered(Some(Report {
                    epoch: life.owner.epoch(),
                    synced: self.world.mutant.believes_synced() || life.owner.is_synced(),
                    unreachable: self.world.unreachable(&life.pings),
                }));
            } else {
                health.failed();
                silent.push(id);
            }
        }
        silent
    }

    fn masters(&self) -> BTreeMap<NodeId, MasterStatus> {
        let masters: Vec<_> = self.world.masters.lock().values().cloned().collect();
        let answering = masters.into_iter().filter(|master| master.freeze.is_running());
        let answering = answering.filter(|master| self.world.talks(Place::Leader, master.place));
        let status = answering.map(|master| {
            let status = MasterStatus {
                epoch: cache::Rings::routing(&*master.rings).epoch(),
                unreachable: self.world.unreachable(&master.pings),
                ..MasterStatus::default()
            };
            (master.place.id(), status)
        });
        status.collect()
    }

    /// Takes all steps that what is seen calls for.
    fn look(&mut self) {
        loop {
            let record = self.world.control.record();
            let seen = self.see(record.as_ref());
            let moot: Vec<NodeId> = moot(record.as_ref(), &seen).into_iter().filter_map(drained).collect();
            self.world.control.dismiss(&moot, false);
            let Some(step) = next(record.as_ref(), &seen, self.policy) else {
                return;
            };
            self.world.tell(|| {
                let written = &step.record;
                format!(
                    "ring {} {}: {} ({})",
                    written.epoch,
                    written.phase.as_str(),
                    names(written),
                    step.cause
                )
            });
            self.world
                .mark(("ring", step.record.epoch.0, step.record.phase.as_str(), names(&step.record)));
            let rebalance = step.answers.contains(&Request::Rebalance);
            let drains: Vec<NodeId> = step.answers.into_iter().filter_map(drained).collect();
            self.world.control.dismiss(&drains, rebalance);
            self.world.note_lost();
            self.world.control.write(step.record);
            self.held_since = Instant::now();
        }
    }

    fn see(&mut self, record: Option<&RingRecord>) -> Seen {
        let control = &self.world.control;
        let mut seen = Seen {
            registered: control.registered(),
            health: self.health.clone(),
            masters: self.masters(),
            drains: control.drains(),
            known: record.cloned().unwrap_or_default(),
            rebalance: control.rebalance(),
            complaints: BTreeMap::new(),
            patience_over: false,
            overdue: self.held_since.elapsed() >= OVERDUE,
        };
        if record.is_some_and(|record| stranded(record, &seen)) {
            let since = *self.stranded_since.get_or_insert_with(Instant::now);
            seen.patience_over = since.elapsed() >= PATIENCE;
        } else {
            self.stranded_since = None;
        }
        seen
    }
}

fn drained(request: Request) -> Option<NodeId> {
    match request {
        Request::Drain(id) => Some(id),
        Request::Rebalance => None,
    }
}

fn names(record: &RingRecord) -> String {
    let layout = |layout: &api::member::Layout| {
        let names = layout.members.iter().map(|member| {
            let life = member.boot_id.to_bytes()[15];
            format!("{}.{life}{}", member.id, if member.lost { "!" } else { "" })
        });
        names.collect::<Vec<_>>().join(" ")
    };
    match &record.previous {
        Some(previous) => format!("{} -> {}", layout(previous), layout(&record.layout)),
        None => layout(&record.layout),
    }
}
