//! What the leader sees: the input of [`next`](super::next).

use std::collections::BTreeMap;

use api::cache::MasterStatus;
use api::member::{Member, RingMember, RingRecord};
use api::{BootId, Epoch, NodeId};

/// Probes in a row that must fail before a node is taken for unreachable: one lost packet must not move a third of all keys.
const FAILURES: u32 = 2;

/// Everything the leader knows when it decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Registered auxiliaries.
    pub registered: BTreeMap<NodeId, Member>,
    /// How the probes of auxiliaries ended: of the registered life, or of the one in the ring while none is registered.
    pub health: BTreeMap<NodeId, Health>,
    /// What masters said last; without those that do not answer.
    pub masters: BTreeMap<NodeId, MasterStatus>,
    /// Since when an auxiliary or master has complained of an auxiliary, without a break: the number of the first probe sent
    /// after that was heard. See [`Health::asked`].
    pub complaints: BTreeMap<(NodeId, NodeId), u64>,
    /// Lives that were asked to leave the ring.
    pub drains: BTreeMap<NodeId, BootId>,
    /// The ring as the leader last knew it: that of the store, unless the store has lost it.
    pub known: RingRecord,
    /// Whether everybody was asked to compare what they hold.
    pub rebalance: bool,
    /// Whether those that are missing have been waited for long enough, see [`stranded`](super::stranded).
    pub patience_over: bool,
    /// Whether the record has been in force so long that everybody who can know it does.
    pub overdue: bool,
}

/// How the probes of one life of an auxiliary ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The life that is probed; a new one begins with a clean record.
    pub boot_id: BootId,
    /// Whether any probe ended yet.
    pub probed: bool,
    /// Failures since the last success.
    pub failures: u32,
    /// What it said last; none when that was no report.
    pub report: Option<Report>,
    /// Number of the last probe it answered; probes are numbered as they are sent.
    pub asked: u64,
}

/// What an auxiliary says of itself that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The epoch it serves.
    pub epoch: Epoch,
    /// Whether it holds all it must hold at that epoch.
    pub synced: bool,
    /// Auxiliaries it cannot reach.
    pub unreachable: Vec<NodeId>,
}

/// How a life stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It answered the last probe.
    Answers,
    /// It cannot be said yet.
    Undecided,
    /// It fails to answer, but may live.
    Unreachable,
    /// It is over.
    Gone,
}

impl Health {
    /// Nothing is known yet.
    #[must_use]
    pub const fn new(boot_id: BootId) -> Self {
        Self {
            boot_id,
            probed: false,
            failures: 0,
            report: None,
            asked: 0,
        }
    }

    /// Takes note of a probe that was answered, with a report if the answer was one.
    pub fn answered(&mut self, report: Option<Report>) {
        self.probed = true;
        self.failures = 0;
        self.report = report;
    }

    /// Takes note of a probe that was not answered.
    pub const fn failed(&mut self) {
        self.probed = true;
        self.failures = self.failures.saturating_add(1);
    }

    const fn standing(&self) -> Standing {
        match self.failures {
            0 if self.probed => Standing::Answers,
            FAILURES.. => Standing::Unreachable,
            _ => Standing::Undecided,
        }
    }
}

impl Seen {
    /// How a life that is in the ring stands.
    pub(super) fn standing(&self, record: &RingRecord, life: &RingMember) -> Standing {
        let health = self.health.get(&life.id).filter(|health| health.boot_id == life.boot_id);
        match self.registered.get(&life.id) {
            Some(member) if member.boot_id == life.boot_id => health.map_or(Standing::Undecided, Health::standing),
            // Over; but first it is seen whether the next life can take its place at once.
            Some(successor) if self.is_unprobed(successor) => Standing::Undecided,
            Some(_) => Standing::Gone,
            // Its lease ended, as all leases may when the control store was silent for long. While it goes on with its work it
            // will register again; a node that stops does not report any more.
            None => match health.map_or(Standing::Gone, Health::standing) {
                Standing::Unreachable => Standing::Gone,
                Standing::Answers if !self.works_on(record, life) => Standing::Gone,
                other => other,
            },
        }
    }

    /// What a life said last, if it answered the last probe.
    pub(super) fn report(&self, id: &NodeId, boot_id: BootId) -> Option<&Report> {
        let health = self.health.get(id).filter(|health| health.boot_id == boot_id)?;
        health.report.as_ref().filter(|_| health.standing() == Standing::Answers)
    }

    /// Whether a complaint is more than the echo of a node that fell silent: each of the two has answered a probe that was sent
    /// after the complaint was heard. Of a node that has not, the leader's own probes decide.
    pub(super) fn is_confirmed(&self, complainant: &NodeId, accused: &NodeId) -> bool {
        let heard = self
            .complaints
            .get(&(complainant.clone(), accused.clone()))
            .copied()
            .unwrap_or(0);
        let answered_since = |id| self.health.get(id).is_none_or(|health| health.asked >= heard);
        answered_since(complainant) && answered_since(accused)
    }

    /// Whether a life reports, and knows the record if it had time to.
    fn works_on(&self, record: &RingRecord, life: &RingMember) -> bool {
        let health = self.health.get(&life.id).filter(|health| health.boot_id == life.boot_id);
        let report = health.and_then(|health| health.report.as_ref());
        report.is_some_and(|report| report.epoch >= record.epoch || !self.overdue)
    }

    /// Whether a life holds all it must hold at the epoch of the record.
    pub(super) fn is_synced(&self, record: &RingRecord, life: &RingMember) -> bool {
        self.report(&life.id, life.boot_id)
            .is_some_and(|report| report.epoch >= record.epoch && report.synced)
    }

    /// Whether this life was asked to leave the ring.
    pub(super) fn is_drained(&self, id: &NodeId, boot_id: BootId) -> bool {
        self.drains.get(id) == Some(&boot_id)
    }

    /// The registered life of a node, if it answers and may be in the ring.
    pub(super) fn candidate(&self, id: &NodeId) -> Option<&Member> {
        let member = self.registered.get(id)?;
        let fit = self.report(id, member.boot_id).is_some() && !self.is_drained(id, member.boot_id);
        fit.then_some(member)
    }

    /// Whether it is known of all registered nodes how they are: those that start together come in together.
    pub(super) fn is_complete(&self) -> bool {
        !self.registered.values().any(|member| self.is_unprobed(member))
    }

    /// Whether that is known of those in the last ring too, registered or not.
    pub(super) fn all_were_asked(&self) -> bool {
        self.is_complete() && self.health.values().all(|health| health.probed)
    }

    /// The newest epoch that anybody knows of.
    pub(super) fn newest_epoch(&self) -> Epoch {
        let nodes = self.health.values().filter_map(|health| Some(health.report.as_ref()?.epoch));
        let masters = self.masters.values().map(|status| status.epoch);
        nodes.chain(masters).fold(self.known.epoch, Epoch::max)
    }

    fn is_unprobed(&self, member: &Member) -> bool {
        let health = self.health.get(&member.id).filter(|health| health.boot_id == member.boot_id);
        !health.is_some_and(|health| health.probed)
    }
}

/// How a registered auxiliary stands in the ring.
pub(super) fn ring_member(member: &Member) -> RingMember {
    RingMember {
        id: member.id.clone(),
        boot_id: member.boot_id,
        weight: member.weight,
        zone: member.zone.clone(),
        lost: false,
    }
}
