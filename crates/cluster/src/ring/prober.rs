//! Asks every auxiliary and every master how it is, each at its own pace: a silent one holds up nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use api::cache::{MasterStatus, NodeStatus};
use api::member::{Member, Role};
use api::{BootId, NodeId};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, sleep_until};
use transport::peer::{PeerClient, PeerError, Retry};

use super::change::{Health, Report};
use crate::Snapshot;

const AUXILIARY_STATUS: &str = "/internal/v1/cache/status";
const MASTER_STATUS: &str = "/internal/v1/cluster/status";
/// Pause before the second attempt, which follows any failed one: a node that refuses connections is gone at once.
const SECOND_ATTEMPT: Duration = Duration::from_millis(100);
/// Pause between probes of auxiliaries while a phase of a change waits for them.
const IMPATIENT: Duration = Duration::from_millis(50);

/// Probes of one term of leadership.
pub(super) struct Prober {
    client: PeerClient,
    /// Pause between probes, and longest time for one.
    pace: Duration,
    targets: BTreeMap<(Role, NodeId), Target>,
    running: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// How auxiliaries are.
    pub(super) health: BTreeMap<NodeId, Health>,
    /// What masters said last.
    pub(super) masters: BTreeMap<NodeId, MasterStatus>,
    /// Who complains of whom, see [`Seen::complaints`](super::change::Seen::complaints).
    pub(super) complaints: BTreeMap<(NodeId, NodeId), u64>,
    /// Probes sent so far.
    sent: u64,
}

struct Target {
    boot_id: BootId,
    address: String,
    registered: bool,
    /// When the last probe ended; none when the next is due at once.
    ended: Option<Instant>,
    running: bool,
}

/// How the attempts of one probe ended, in order.
enum Answer {
    Auxiliary(NodeId, BootId, u64, Vec<Result<Option<Report>, PeerError>>),
    Master(NodeId, BootId, Option<MasterStatus>),
}

impl Prober {
    /// Every node is probed twice in `interval`, so that one that falls silent is found out within it and a half.
    pub(super) fn new(client: PeerClient, interval: Duration) -> Self {
        Self {
            client,
            pace: interval / 2,
            targets: BTreeMap::new(),
            running: FuturesUnordered::new(),
            health: BTreeMap::new(),
            masters: BTreeMap::new(),
            complaints: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Takes over who is to be probed: all registered auxiliaries and masters, and members of the ring whose lease ended but
    /// whose address is known.
    pub(super) fn aim(&mut self, snapshot: &Snapshot) {
        let registered = |role| {
            snapshot
                .with_role(role)
                .map(|member: &Member| (member.role, &member.id, member.boot_id, &member.address))
        };
        let routing = snapshot.routing();
        let in_ring = routing.nodes().filter_map(|index| routing.node(index));
        let lapsed = in_ring
            .filter(|owner| snapshot.member(Role::Auxiliary, &owner.id).is_none())
            .map(|owner| (Role::Auxiliary, &owner.id, owner.boot_id, &owner.address));
        let mut before = std::mem::take(&mut self.targets);
        for (role, id, boot_id, address) in registered(Role::Auxiliary).chain(lapsed).chain(registered(Role::Master)) {
            let key = (role, id.clone());
            let known = before
                .remove(&key)
                .filter(|target| target.boot_id == boot_id && target.address == *address);
            let registered = snapshot.member(role, id).is_some();
            let mut target = known.unwrap_or_else(|| Target {
                boot_id,
                address: address.clone(),
                registered,
                ended: None,
                running: false,
            });
            if std::mem::replace(&mut target.registered, registered) != registered {
                // A node that stops gives up its lease first.
                target.ended = None;
            }
            if role == Role::Auxiliary && self.health.get(id).is_none_or(|health| health.boot_id != boot_id) {
                self.health.insert(id.clone(), Health::new(boot_id));
            }
            self.targets.insert(key, target);
        }
        let targets = &self.targets;
        self.health
            .retain(|id, _| targets.contains_key(&(Role::Auxiliary, id.clone())));
        self.masters.retain(|id, _| targets.contains_key(&(Role::Master, id.clone())));
        let known = |id: &NodeId| targets.keys().any(|(_, target)| target == id);
        self.complaints
            .retain(|(complainant, accused), _| known(complainant) && known(accused));
    }

    /// Probes whoever is due, and waits until a probe ends. With `impatient`, auxiliaries are due soon. Without anybody to
    /// probe it waits for ever.
    pub(super) async fn hear(&mut self, impatient: bool) -> usize {
        loop {
            let due = self.start(impatient);
            tokio::select! {
                Some(answer) = self.running.next(), if !self.running.is_empty() => return self.learn(answer),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                () = std::future::pending() => {}
            }
        }
    }

    /// Starts what is due; when the next one is.
    fn start(&mut self, impatient: bool) -> Option<Instant> {
        let now = Instant::now();
        let mut next = None;
        for ((role, id), target) in &mut self.targets {
            if target.running {
                continue;
            }
            let pause = if impatient && *role == Role::Auxiliary {
                IMPATIENT.min(self.pace)
            } else {
                self.pace
            };
            match target.ended.map(|ended| ended + pause) {
                Some(due) if due > now => next = Some(next.map_or(due, |next: Instant| next.min(due))),
                _ => {
                    target.running = true;
                    let call = Call {
                        client: self.client.clone(),
                        address: target.address.clone(),
                        deadline: self.pace,
                    };
                    self.sent += 1;
                    let (id, boot_id, number) = (id.clone(), target.boot_id, self.sent);
                    self.running.push(match role {
                        Role::Master => {
                            Box::pin(async move { Answer::Master(id, boot_id, call.ask(MASTER_STATUS).await.ok().flatten()) })
                        }
                        _ => Box::pin(async move {
                            let answers = call.ask_auxiliary(boot_id).await;
                            Answer::Auxiliary(id, boot_id, number, answers)
                        }),
                    });
                }
            }
        }
        next
    }

    /// Takes note of a probe that ended; how many of its attempts failed.
    fn learn(&mut self, answer: Answer) -> usize {
        match answer {
            Answer::Master(id, boot_id, status) => {
                if self.ended(Role::Master, &id, boot_id) {
                    self.hear_complaints(&id, status.as_ref().map_or(&[], |status| &status.unreachable));
                    match status {
                        Some(status) => drop(self.masters.insert(id, status)),
                        None => drop(self.masters.remove(&id)),
                    }
                }
                0
            }
            Answer::Auxiliary(id, boot_id, number, attempts) => {
                let failed = attempts.iter().filter(|attempt| attempt.is_err()).count();
                if !self.ended(Role::Auxiliary, &id, boot_id) {
                    return failed;
                }
                if let Some(Ok(Some(report))) = attempts.last() {
                    self.hear_complaints(&id, &report.unreachable);
                }
                let health = self.health.entry(id.clone()).or_insert_with(|| Health::new(boot_id));
                for attempt in attempts {
                    match attempt {
                        Ok(report) => {
                            health.answered(report);
                            health.asked = number;
                        }
                        Err(error) => {
                            health.failed();
                            tracing::warn!(%id, %error, "an auxiliary does not answer");
                        }
                    }
                }
                failed
            }
        }
    }

    /// Takes note of whom a node complains of now.
    fn hear_complaints(&mut self, complainant: &NodeId, unreachable: &[NodeId]) {
        self.complaints
            .retain(|(who, of), _| who != complainant || unreachable.contains(of));
        for accused in unreachable {
            let pair = (complainant.clone(), accused.clone());
            self.complaints.entry(pair).or_insert(self.sent + 1);
        }
    }

    /// Whether the probe that ended was one of the life that is probed now.
    fn ended(&mut self, role: Role, id: &NodeId, boot_id: BootId) -> bool {
        let target = self
            .targets
            .get_mut(&(role, id.clone()))
            .filter(|target| target.boot_id == boot_id);
        target.is_some_and(|target| {
            target.running = false;
            target.ended = Some(Instant::now());
            true
        })
    }
}

/// One probe.
struct Call {
    client: PeerClient,
    address: String,
    deadline: Duration,
}

impl Call {
    /// A second attempt follows a failed one.
    async fn ask_auxiliary(&self, boot_id: BootId) -> Vec<Result<Option<Report>, PeerError>> {
        let first = self.ask_life(boot_id).await;
        if first.is_ok() {
            return vec![first];
        }
        sleep(SECOND_ATTEMPT).await;
        vec![first, self.ask_life(boot_id).await]
    }

    async fn ask_life(&self, boot_id: BootId) -> Result<Option<Report>, PeerError> {
        match self.ask::<NodeStatus>(AUXILIARY_STATUS).await? {
            Some(status) if status.boot_id != boot_id => Err(PeerError::Malformed {
                peer: self.address.clone(),
                detail: "another life answers there".to_owned(),
            }),
            status => Ok(status.map(|status| Report {
                epoch: status.epoch,
                synced: status.synced,
                unreachable: status.unreachable,
            })),
        }
    }

    /// None when it answers, but not with a status: it lives.
    async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, PeerError> {
        let call = self.client.get(&self.address, path).deadline(self.deadline);
        let asked = async { call.retry(Retry::Never).unguarded().send().await?.json().await };
        let timed_out = |_| PeerError::NoAnswer {
            peer: self.address.clone(),
            detail: format!("nothing within {:?}", self.deadline),
        };
        match tokio::time::timeout(self.deadline, asked).await.map_err(timed_out)? {
            Ok(status) => Ok(Some(status)),
            Err(PeerError::Answered { .. } | PeerError::Malformed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
