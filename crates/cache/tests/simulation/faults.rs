//! What can go wrong, and what operators do.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use tokio::time::sleep;

use super::freeze::Freeze;
use super::history::SKEW;
use super::world::{Place, World};

/// One thing that goes wrong, and is over some time later.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// An auxiliary is killed, and comes back empty or with an old backup.
    Kill { number: u8, away: Duration, with_backup: bool },
    /// An auxiliary is stopped, and resumed.
    Stop { number: u8, away: Duration },
    /// A master is stopped, and resumed.
    StopMaster { number: u8, away: Duration },
    /// A master is killed, and another begins.
    KillMaster { number: u8 },
    /// Two nodes cannot reach each other, or one not the other.
    Cut { links: Vec<(Place, Place)>, lasts: Duration },
    /// A node does not hear from the control store.
    CutControl { place: Place, lasts: Duration },
    /// Frames are lost.
    Loss { per_mille: u64, lasts: Duration },
    /// A clock is set.
    Clock { place: Place, micros: i64 },
    /// Nobody leads for a while.
    NoLeader { lasts: Duration },
}

/// Something an operator does; nobody must notice.
#[derive(Debug, Clone)]
pub(crate) enum Errand {
    Join { number: u8 },
    Drain { number: u8 },
    Rebalance,
    Weigh { number: u8, weight: u32 },
}

impl Fault {
    /// Any.
    pub(crate) fn any(world: &World) -> Self {
        let random = &world.random;
        let lives: Vec<u8> = world
            .auxiliaries
            .lock()
            .iter()
            .filter(|(_, slot)| slot.life.is_some())
            .map(|(n, _)| *n)
            .collect();
        let masters: Vec<u8> = world.masters.lock().keys().copied().collect();
        let (number, master) = (*random.pick(&lives), *random.pick(&masters));
        let auxiliary = Place::Auxiliary(number);
        let lasts = if random.chance(500) {
            random.millis(50, 2_000)
        } else {
            random.millis(2_000, 9_000)
        };
        let dice = match world.mutant.shows_after() {
            Some(dice) if random.chance(700) => dice,
            _ => random.between(0, 14),
        };
        match dice {
            0 | 1 => Self::Kill {
                number,
                away: lasts,
                with_backup: random.chance(500),
            },
            2 | 13 => Self::Kill {
                number,
                away: random.millis(0, 50),
                with_backup: random.chance(500),
            },
            3 | 4 => Self::Stop { number, away: lasts },
            5 | 6 => Self::StopMaster {
                number: master,
                away: lasts,
            },
            7 => Self::KillMaster { number: master },
            8 | 9 => {
                let others = lives
                    .iter()
                    .map(|other| Place::Auxiliary(*other))
                    .chain(masters.iter().map(|m| Place::Master(*m)));
                let others: Vec<Place> = others.chain([Place::Leader]).filter(|other| *other != auxiliary).collect();
                let other = *random.pick(&others);
                let both = [(auxiliary, other), (other, auxiliary)];
                let links = match random.between(0, 3) {
                    0 => vec![both[0]],
                    1 => vec![both[1]],
                    _ => both.to_vec(),
                };
                Self::Cut { links, lasts }
            }
            10 => {
                let others = lives
                    .iter()
                    .filter(|other| **other != number)
                    .map(|other| Place::Auxiliary(*other));
                let masters = masters.iter().map(|master| Place::Master(*master));
                let others = others.chain(masters).chain([Place::Leader]);
                Self::Cut {
                    links: others.flat_map(|other| [(auxiliary, other), (other, auxiliary)]).collect(),
                    lasts,
                }
            }
            11 => Self::CutControl {
                place: if random.chance(500) {
                    auxiliary
                } else {
                    Place::Master(master)
                },
                lasts,
            },
            12 => Self::Loss {
                per_mille: random.between(20, 300),
                lasts,
            },
            _ if random.chance(500) => Self::NoLeader { lasts },
            _ => Self::Clock {
                place: if random.chance(300) {
                    auxiliary
                } else {
                    Place::Master(master)
                },
                micros: random.between(0, SKEW - 50_000) as i64 - (SKEW as i64 - 50_000) / 2,
            },
        }
    }

    /// One auxiliary dies, or stands still for a while.
    pub(crate) fn death(world: &World) -> Self {
        let random = &world.random;
        let lives: Vec<u8> = world.lives().iter().filter_map(|life| life.number()).collect();
        let number = *random.pick(&lives);
        match random.between(0, 2) {
            0 => Self::Stop {
                number,
                away: random.millis(50, 4_000),
            },
            dice => Self::Kill {
                number,
                away: random.millis(0, if dice == 1 { 50 } else { 5_000 }),
                with_backup: random.chance(500),
            },
        }
    }

    /// Makes it happen, waits, and sets it right.
    pub(crate) async fn strike(self, world: &Arc<World>, leader: &Freeze) {
        world.tell(|| format!("FAULT {self:?}"));
        match self {
            Self::Kill {
                number,
                away,
                with_backup,
            } => {
                world.kill_auxiliary(number);
                sleep(away).await;
                let backup = world.auxiliaries.lock()[&number].backup.clone();
                if world.life(number).is_none() {
                    world.start_auxiliary(number, if with_backup { &backup } else { &[] });
                }
            }
            Self::Stop { number, away } => {
                let Some(life) = world.life(number) else { return };
                life.freeze.stop();
                sleep(away).await;
                life.freeze.resume();
            }
            Self::StopMaster { number, away } => {
                let freeze = Arc::clone(&world.master(number).freeze);
                freeze.stop();
                sleep(away).await;
                freeze.resume();
            }
            Self::KillMaster { number } => {
                let ahead = Arc::clone(&world.master(number).ahead);
                world.start_master(number, &ahead);
            }
            Self::Cut { links, lasts } => {
                world.links.modify(|all| all.cut.extend(&links));
                sleep(lasts).await;
                world.links.modify(|all| all.cut.retain(|link| !links.contains(link)));
            }
            Self::CutControl { place, lasts } => {
                world.links.modify(|links| links.without_control.extend([place]));
                sleep(lasts).await;
                world
                    .links
                    .modify(|links| links.without_control.retain(|other| *other != place));
            }
            Self::Loss { per_mille, lasts } => {
                world
                    .links
                    .modify(|links| (links.loss, links.replays) = (per_mille, per_mille / 2));
                sleep(lasts).await;
                world
                    .links
                    .modify(|links| (links.loss, links.replays) = (0, links.usual_replays));
            }
            Self::Clock { place, micros } => {
                let ahead: Option<Arc<AtomicI64>> = match place {
                    Place::Auxiliary(number) => world.auxiliaries.lock().get(&number).map(|slot| Arc::clone(&slot.ahead)),
                    Place::Master(number) => Some(Arc::clone(&world.master(number).ahead)),
                    Place::Leader => None,
                };
                if let Some(ahead) = ahead {
                    world.shift_clock(&ahead, micros);
                }
            }
            Self::NoLeader { lasts } => {
                leader.stop();
                sleep(lasts).await;
                leader.resume();
            }
        }
        world.tell(|| "the fault is over".to_owned());
    }
}

impl Errand {
    /// Any that can be run now.
    pub(crate) fn any(world: &World, replicas: usize) -> Self {
        let random = &world.random;
        let slots = world.auxiliaries.lock();
        let (alive, down): (Vec<_>, Vec<_>) = slots.iter().partition(|(_, slot)| slot.life.is_some());
        match random.between(0, 3) {
            0 if !down.is_empty() => Self::Join {
                number: *random.pick(&down).0,
            },
            1 if alive.len() > replicas.max(2) => Self::Drain {
                number: *random.pick(&alive).0,
            },
            2 => Self::Weigh {
                number: *random.pick(&alive).0,
                weight: random.between(1, 3) as u32,
            },
            _ => Self::Rebalance,
        }
    }

    /// Asks for it, and waits until it is done.
    pub(crate) async fn run(self, world: &Arc<World>) {
        world.tell(|| format!("ERRAND {self:?}"));
        match self {
            Self::Join { number } => world.start_auxiliary(number, &[]),
            Self::Drain { number } => {
                let Some(life) = world.life(number) else { return };
                world.control.ask_drain(life.id.clone(), life.boot_id);
                super::checks::stable(world).await;
                if world.life(number).is_some_and(|now| now.boot_id == life.boot_id) {
                    world.control.deregister(&life.id);
                    world.kill_auxiliary(number);
                }
            }
            Self::Rebalance => world.control.ask_rebalance(),
            Self::Weigh { number, weight } => {
                // An auxiliary registers its weight when it starts: a restart in order, one after the other.
                if let Some(slot) = world.auxiliaries.lock().get_mut(&number) {
                    slot.weight = weight;
                }
                let Some(life) = world.life(number) else { return };
                let mut member = life.member.clone();
                member.weight = weight;
                world.control.register(member);
            }
        }
        super::checks::stable(world).await;
    }
}
