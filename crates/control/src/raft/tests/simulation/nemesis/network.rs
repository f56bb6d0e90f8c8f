//! Faults of the network.

use super::super::faults::Fault;
use super::Nemesis;

impl Nemesis {
    async fn mend_after(&mut self, least: u64, most: u64) {
        tokio::time::sleep(self.span(least, most)).await;
        self.world.weather.lock().clear();
        self.world.trace.note(format_args!("the network is whole"));
    }

    /// In two, or with one who reaches both halves.
    pub(super) async fn partition(&mut self) {
        let mut names = self.world.alive();
        self.rng.shuffle(&mut names);
        if names.len() < 2 {
            return;
        }
        let all = names.len();
        let leader = self.leader();
        let bridge = if all > 2 && self.rng.u32(..3) == 0 {
            names.pop()
        } else {
            None
        };
        let cut = if self.rng.bool() {
            // The leader with fewer than half.
            names.sort_by_key(|name| Some(name) != leader.as_ref());
            1.max(names.len() / 2 - usize::from(names.len() > 3 && self.rng.bool()))
        } else {
            self.rng.usize(1..names.len().max(2))
        };
        let (left, right) = names.split_at(cut.min(names.len()));
        self.world
            .trace
            .note(format_args!("{left:?} and {right:?} are apart, between them {bridge:?}"));
        self.world.tally.note(Fault::Partition);
        let of_leader = [left, right]
            .into_iter()
            .find(|part| part.iter().any(|name| Some(name) == leader.as_ref()));
        match (bridge, of_leader) {
            (Some(_), _) => self.world.tally.note(Fault::Bridge),
            (None, Some(part)) if part.len() <= all / 2 => self.world.tally.note(Fault::MinorityLeader),
            (None, _) => {}
        }
        {
            let mut weather = self.world.weather.lock();
            for one in left {
                for other in right {
                    weather.cut(one, other);
                    weather.cut(other, one);
                }
            }
        }
        self.mend_after(500, 4_500).await;
    }

    pub(super) async fn one_way(&mut self) {
        let Some(name) = self.victim() else { return };
        let inward = self.rng.bool();
        let (fault, shown) = if inward {
            (Fault::Deaf, "hears nothing")
        } else {
            (Fault::Mute, "is not heard")
        };
        self.world.trace.note(format_args!("{name} {shown}"));
        self.world.tally.note(fault);
        {
            let mut weather = self.world.weather.lock();
            for other in self.world.alive().iter().filter(|other| **other != name) {
                if inward {
                    weather.cut(other, &name);
                } else {
                    weather.cut(&name, other);
                }
            }
        }
        self.mend_after(500, 4_000).await;
    }

    pub(super) async fn storm(&mut self) {
        self.world.trace.note(format_args!("a storm begins"));
        self.world.tally.note(Fault::Storm);
        self.world.weather.lock().stormy = true;
        self.mend_after(500, 4_000).await;
    }
}
