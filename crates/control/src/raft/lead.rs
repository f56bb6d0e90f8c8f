//! Where a call that only the raft leader can do is done: here, or on another master, one hop away at most.
//!
//! Looking for the leader may go on until the deadline, since what has not been executed may be tried again. A write that
//! may have been executed is never sent again: its outcome is unknown, and the caller is told so.

use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver as _;
use tokio::time::Instant;
use uuid::Uuid;

use super::RaftStore;
use super::network::CallError;
use super::network::message::{Call, Refusal, Reply};
use super::types::Peer;
use crate::Result;
use crate::error::Error;

/// Pause between looks for the leader; a change of leader ends it.
const PAUSE: Duration = Duration::from_millis(50);

/// Why a call was not done here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Miss {
    /// Not executed: this node does not lead.
    NotLeader,
    /// Not executed: it cannot be just now.
    Later(String),
    /// This is the answer.
    Final(Error),
}

/// Who leads, as far as this node knows.
enum Lead {
    Here,
    There { id: u64, peer: Peer },
    Nobody,
}

/// A call for the leader.
pub(crate) trait ForLeader {
    type Answer;

    /// Whether it may be done twice.
    const REPEATABLE: bool;

    /// Does it on this node, which leads.
    async fn here(&self, store: &RaftStore, until: Instant) -> std::result::Result<Self::Answer, Miss>;

    /// Asks another to do it.
    fn call(&self, left: Duration) -> Call;

    /// The answer in a reply; none when it is none.
    fn take(reply: Reply) -> Option<Result<Self::Answer>>;
}

impl RaftStore {
    /// Has a call done by the leader.
    pub(crate) async fn by_leader<C: ForLeader>(&self, call: &C, until: Instant) -> Result<C::Answer> {
        let mut last = None;
        let mut changes = self.raft.server_metrics();
        loop {
            if self.stopping.is_cancelled() {
                return Err(self.reason());
            }
            if let Some(removed) = self.removed() {
                // It would still be served by the others, and never see what it wrote.
                return Err(Error::Unavailable(removed));
            }
            let missed = match self.lead() {
                Lead::Here => match call.here(self, until).await {
                    Ok(answer) => return Ok(answer),
                    Err(Miss::Final(error)) => return Err(error),
                    Err(Miss::NotLeader) => None,
                    Err(Miss::Later(text)) => Some(text),
                },
                Lead::There { id, peer } => match self.forward(call, id, &peer, until).await {
                    Ok(done) => return done,
                    Err(missed) => missed,
                },
                Lead::Nobody => None,
            };
            last = missed.or(last);
            let now = Instant::now();
            if now + PAUSE >= until {
                return Err(Error::Unavailable(self.why(last)));
            }
            tokio::select! {
                biased;
                _ = changes.changed() => {}
                () = tokio::time::sleep(PAUSE) => {}
                () = self.stopping.cancelled() => {}
            }
        }
    }

    /// One attempt at another master. An error: it was not executed, or may be tried again all the same.
    async fn forward<C: ForLeader>(
        &self,
        call: &C,
        id: u64,
        peer: &Peer,
        until: Instant,
    ) -> std::result::Result<Result<C::Answer>, Option<String>> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // Not sent, so that its outcome is not in doubt.
            return Err(None);
        }
        // A leader that is silent must not take all the time of a call that may be done again.
        let whole = self.options.lease();
        let hurried = C::REPEATABLE && left < whole;
        let left = if C::REPEATABLE { left.min(whole) } else { left };
        let replied = self.local.client.call(id, peer, call.call(left), left).await;
        self.metrics.forwarded(match &replied {
            Ok(_) => "answered",
            Err(CallError::Unknown(_)) => "unknown",
            Err(CallError::NotSent(_) | CallError::Refused(_)) => "not_executed",
        });
        match replied {
            Ok(reply) => match C::take(reply) {
                Some(done) => Ok(done),
                None => Ok(Err(Error::Timeout(format!(
                    "{} gave an answer to something else",
                    self.name_of(id)
                )))),
            },
            Err(CallError::Unknown(text)) if !C::REPEATABLE => Ok(Err(Error::Timeout(format!(
                "the raft leader did not answer, the write may or may not happen: {text}"
            )))),
            Err(CallError::Refused(Refusal::NotLeader)) => Err(None),
            Err(CallError::Refused(refusal)) => Err(Some(refusal.to_string())),
            // It had hardly time to answer: what it said before tells more.
            Err(CallError::Unknown(_)) if hurried => Err(None),
            Err(CallError::NotSent(text) | CallError::Unknown(text)) => Err(Some(text)),
        }
    }

    /// The raft leader, as far as this node knows.
    pub(crate) fn leader_id(&self) -> Option<u64> {
        self.raft.metrics().borrow_watched().current_leader
    }

    fn lead(&self) -> Lead {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        match metrics.current_leader {
            Some(id) if id == metrics.id => {
                if metrics.state.is_leader() {
                    Lead::Here
                } else {
                    Lead::Nobody
                }
            }
            Some(id) => match metrics.membership_config.membership().get_node(&id) {
                Some(peer) => Lead::There { id, peer: peer.clone() },
                None => Lead::Nobody,
            },
            None => Lead::Nobody,
        }
    }

    /// Why there is nobody to do it.
    pub(super) fn why(&self, last: Option<String>) -> String {
        let silent = self.silent();
        if !silent.is_empty() && self.lacks_majority(silent.len()) {
            let verb = if silent.len() == 1 { "does" } else { "do" };
            return format!("no majority: {} {verb} not answer", silent.join(", "));
        }
        match (self.leader_id(), last) {
            (Some(id), _) if id == self.local.identity.id() => "this node could not make sure that it still leads".to_owned(),
            (Some(id), Some(last)) => format!("the raft leader {} cannot do it now: {last}", self.name_of(id)),
            (Some(id), None) => format!("the raft leader {} does not answer", self.name_of(id)),
            (None, Some(last)) => format!("there is no raft leader ({last})"),
            (None, None) => "there is no raft leader".to_owned(),
        }
    }

    /// Voters that did not answer this node when it called them last.
    fn silent(&self) -> Vec<String> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let silent = membership.voter_ids().filter(|id| self.local.contacts.is_silent(*id));
        let mut names: Vec<_> = silent
            .map(|id| {
                membership
                    .get_node(&id)
                    .map_or_else(|| format!("{id:016x}"), |peer| peer.name.clone())
            })
            .collect();
        names.sort();
        names
    }

    fn lacks_majority(&self, silent: usize) -> bool {
        let voters = self.raft.metrics().borrow_watched().membership_config.voter_ids().count();
        voters - silent.min(voters) <= voters / 2
    }

    /// Whether most of the others say that this node is no member any more.
    pub(crate) fn is_disowned(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let others = metrics.membership_config.nodes().filter(|(id, _)| **id != metrics.id);
        let (mut all, mut disowned_by) = (0, 0);
        for (id, _) in others {
            all += 1;
            disowned_by += usize::from(self.local.contacts.disowns(*id));
        }
        disowned_by > all / 2
    }

    /// What to say when this node was removed.
    pub(crate) fn removed(&self) -> Option<String> {
        self.removed.load(Ordering::Relaxed).then(|| {
            format!(
                "{} was removed from the cluster: stop it and remove {}",
                self.local.identity.name(),
                self.options.dir.display()
            )
        })
    }

    /// The data directory that the membership names for a raft id.
    pub(crate) fn recorded(&self, id: u64) -> Option<Uuid> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let peer = metrics.membership_config.membership().get_node(&id);
        peer.and_then(|peer| peer.store)
    }

    /// Whether a master is not among the members, as far as this node knows that for good.
    pub(crate) fn disowns(&self, id: u64) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let mut nodes = metrics.committed_membership_config.nodes().map(|(id, _)| *id).peekable();
        let mut effective = metrics.membership_config.nodes().map(|(id, _)| *id);
        nodes.peek().is_some() && nodes.all(|known| known != id) && effective.all(|known| known != id)
    }
}
