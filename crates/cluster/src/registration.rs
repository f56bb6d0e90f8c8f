//! A node's entry in the list of members, and the lease it lives by.
//!
//! One live process per id: the key is created only when absent, or taken over from an earlier life of the same node that
//! is certainly over: it listened on our address in our network namespace, and now we do. Anything else with our id gets
//! time to expire — a node that was moved finds its own old lease — and is then taken for a second live node.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use api::member::Member;
use control::{Compare, ControlStore, KeyValue, LeaseId, Op, OpResult, Txn};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{Error, keys};

/// Pause after a failed call to the store.
const RETRY: Duration = Duration::from_millis(500);
/// A store that stays silent is told of this often.
const WARN_EVERY: Duration = Duration::from_secs(10);
/// Longest wait for the store when the node stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// How this node stands with the control store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its entry was there at the last look.
    Registered,
    /// The lease was lost; it is registering again.
    Lapsed,
    /// Another process took the id: this one must stop.
    Superseded,
}

/// A registered node. Keep [`Registration::keep`] running.
#[derive(Debug)]
pub struct Registration {
    store: Arc<dyn ControlStore>,
    member: Member,
    ttl: Duration,
    lease: Mutex<LeaseId>,
    standing: watch::Sender<Standing>,
}

/// What is written: the member, and where its address is unique.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    member: Member,
    /// This run of the kernel and this network namespace: within it, two processes cannot listen on one address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
}

impl Entry {
    fn new(member: &Member) -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        let network = fs::read_link("/proc/self/ns/net").ok();
        let host = kernel
            .zip(network)
            .map(|(kernel, network)| format!("{} {}", kernel.trim(), network.display()));
        Self {
            member: member.clone(),
            host,
        }
    }

    /// Whether `holder` is this process, or an earlier life of it that is certainly over.
    fn succeeds(&self, holder: &Self) -> bool {
        let same_place = self.host.is_some() && self.host == holder.host && self.member.address == holder.member.address;
        self.member.boot_id == holder.member.boot_id || same_place
    }
}

/// What an attempt to write the entry met.
enum Attempt {
    Done,
    /// Another process has the id.
    Held(Box<Member>),
}

impl Registration {
    /// Registers `member` under a lease of `ttl`. Waits for the store as long as it takes.
    ///
    /// # Errors
    /// [`Error::DuplicateNode`] when another live process keeps the id for longer than an old lease could last.
    pub async fn register(store: Arc<dyn ControlStore>, member: Member, ttl: Duration) -> Result<Self, Error> {
        // A new leader of the built-in engine gives every lease its full time again, hence twice.
        let give_up = Instant::now() + ttl * 2 + RETRY;
        let (mut announced, mut next_warning) = (false, Instant::now());
        loop {
            match attempt(&store, &member, ttl).await {
                Ok((lease, Attempt::Done)) => {
                    info!(id = %member.id, boot_id = %member.boot_id, address = member.address, "registered");
                    let (lease, standing) = (Mutex::new(lease), watch::Sender::new(Standing::Registered));
                    return Ok(Self {
                        store,
                        member,
                        ttl,
                        lease,
                        standing,
                    });
                }
                Ok((_, Attempt::Held(other))) if Instant::now() >= give_up => {
                    return Err(Error::DuplicateNode {
                        id: member.id,
                        address: other.address,
                    });
                }
                Ok((_, Attempt::Held(other))) => {
                    if !std::mem::replace(&mut announced, true) {
                        warn!(id = %member.id, other = other.address, "this id is registered; waiting whether its lease ends");
                    }
                }
                Err(Error::Control(error)) => {
                    if Instant::now() >= next_warning {
                        next_warning = Instant::now() + WARN_EVERY;
                        warn!(%error, "cannot register yet");
                    }
                }
                Err(other) => return Err(other),
            }
            sleep(RETRY.min(ttl / 3)).await;
        }
    }

    /// How this node stands.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Keeps the lease alive, registers again when it is lost, and ends it at `stop`. Silence of the store changes nothing.
    pub async fn keep(&self, stop: CancellationToken) {
        let mut pause = self.ttl / 3;
        loop {
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => break self.leave().await,
            }
            let refreshed = tokio::select! {
                refreshed = self.refresh() => refreshed,
                () = stop.cancelled() => break self.leave().await,
            };
            pause = match refreshed {
                Ok(Attempt::Done) => self.ttl / 3,
                Ok(Attempt::Held(other)) => {
                    error!(id = %self.member.id, other = other.address, "another process took over this NODE_ID; this one must stop");
                    self.standing.send_replace(Standing::Superseded);
                    return;
                }
                Err(error) => {
                    // With what lies behind it: "cannot be used" alone helps nobody.
                    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
                    let error = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
                    warn!(%error, "the lease of this node cannot be kept alive now");
                    RETRY.min(self.ttl / 3)
                }
            };
        }
    }

    async fn refresh(&self) -> Result<Attempt, Error> {
        let lease = *self.lease.lock();
        match self.store.keep_alive(lease).await {
            Ok(left) if !left.is_zero() => match self.holder().await? {
                Some(holder) if holder.member.boot_id == self.member.boot_id => return Ok(Attempt::Done),
                Some(other) => return Ok(Attempt::Held(Box::new(other.member))),
                None => {}
            },
            Ok(_) | Err(control::Error::LeaseNotFound) => {}
            Err(error) => return Err(error.into()),
        }
        self.standing.send_replace(Standing::Lapsed);
        let (lease, outcome) = attempt(&self.store, &self.member, self.ttl).await?;
        if matches!(outcome, Attempt::Done) {
            *self.lease.lock() = lease;
            self.standing.send_replace(Standing::Registered);
            warn!(id = %self.member.id, "the lease of this node had ended; registered again");
        }
        Ok(outcome)
    }

    async fn holder(&self) -> Result<Option<Entry>, Error> {
        let key = keys::member(self.member.role, &self.member.id);
        self.store
            .get(&key, control::Consistency::Linearizable)
            .await?
            .as_ref()
            .map(parse)
            .transpose()
    }

    async fn leave(&self) {
        let lease = *self.lease.lock();
        match timeout(FAREWELL, self.store.revoke(lease)).await {
            Ok(Ok(())) => info!(id = %self.member.id, "left the cluster"),
            Ok(Err(error)) => warn!(%error, "could not end the lease; it ends by itself"),
            Err(_) => warn!("could not end the lease in time; it ends by itself"),
        }
    }
}

/// Writes the entry under a new lease when nobody else has it.
async fn attempt(store: &Arc<dyn ControlStore>, member: &Member, ttl: Duration) -> Result<(LeaseId, Attempt), Error> {
    let lease = store.lease_grant(ttl).await?.id;
    let outcome = write(store, member, lease).await;
    if !matches!(outcome, Ok(Attempt::Done)) {
        // Nothing lives by it, except after an unknown outcome, which this undoes.
        let _ = timeout(FAREWELL, store.revoke(lease)).await;
    }
    Ok((lease, outcome?))
}

async fn write(store: &Arc<dyn ControlStore>, member: &Member, lease: LeaseId) -> Result<Attempt, Error> {
    let key = keys::member(member.role, &member.id);
    let mine = Entry::new(member);
    let value = serde_json::to_vec(&mine).map_err(|source| Error::Record {
        key: key.clone(),
        source,
    })?;
    let put = Op::Put {
        key: key.clone(),
        value: value.into(),
        lease: Some(lease),
    };
    let create = Txn {
        compares: vec![Compare::Absent(key.clone())],
        then: vec![put.clone()],
        otherwise: vec![Op::Get { key: key.clone() }],
    };
    let answer = store.txn(create).await?;
    if answer.succeeded {
        return Ok(Attempt::Done);
    }
    let held = answer.results.into_iter().find_map(|result| match result {
        OpResult::Range(range) => range.items.into_iter().next(),
        _ => None,
    });
    let Some(held) = held else {
        return Err(control::Error::Unavailable("the entry changed under our hands".to_owned()).into());
    };
    let holder = parse(&held)?;
    if !mine.succeeds(&holder) {
        return Ok(Attempt::Held(Box::new(holder.member)));
    }
    let take_over = Txn {
        compares: vec![Compare::ModRevision(key, held.mod_revision)],
        then: vec![put],
        otherwise: Vec::new(),
    };
    if store.txn(take_over).await?.succeeded {
        Ok(Attempt::Done)
    } else {
        Ok(Attempt::Held(Box::new(holder.member)))
    }
}

fn parse(entry: &KeyValue) -> Result<Entry, Error> {
    serde_json::from_slice(&entry.value).map_err(|source| Error::Record {
        key: entry.key.clone(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use api::member::Role;
    use api::{BootId, NodeId};

    use super::*;

    fn entry(address: &str, host: Option<&str>) -> Entry {
        let member = Member {
            id: NodeId::try_new("a").unwrap(),
            role: Role::Auxiliary,
            boot_id: BootId::new_random(),
            address: address.to_owned(),
            public_address: None,
            zone: None,
            weight: 1,
            started_at_ms: 0,
            version: String::new(),
        };
        Entry {
            member,
            host: host.map(str::to_owned),
        }
    }

    #[test]
    fn only_a_life_that_is_certainly_over_is_succeeded() {
        let me = entry("127.0.0.1:3001", Some("kernel net:[1]"));
        assert!(me.succeeds(&me), "our own entry");
        assert!(
            me.succeeds(&entry("127.0.0.1:3001", Some("kernel net:[1]"))),
            "we listen where it did"
        );
        assert!(
            !me.succeeds(&entry("127.0.0.1:3002", Some("kernel net:[1]"))),
            "it may still listen there"
        );
        assert!(
            !me.succeeds(&entry("127.0.0.1:3001", Some("kernel net:[2]"))),
            "another container's loopback is another place"
        );
        assert!(!me.succeeds(&entry("127.0.0.1:3001", None)));
        assert!(!entry("h:1", None).succeeds(&entry("h:1", None)));
    }

    #[test]
    fn everybody_else_reads_an_entry_as_a_member() {
        let entry = entry("h:1", Some("kernel net:[1]"));
        let json = serde_json::to_vec(&entry).unwrap();
        assert_eq!(serde_json::from_slice::<Member>(&json).unwrap(), entry.member);
        assert_eq!(serde_json::from_slice::<Entry>(&json).unwrap(), entry);
    }
}
