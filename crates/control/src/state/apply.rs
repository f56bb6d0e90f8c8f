//! Changing the state: everything that can fail is checked first, so that a failed command changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Command, Holding, Outcome, State, Stored, charge, validate};
use crate::error::Error;
use crate::types::{Event, Lease, LeaseId, Op, OpResult, Txn, TxnResponse};
use crate::user_keys::is_users;

impl State {
    /// Applies one command. The reply is the same on every node.
    pub(crate) fn apply(&mut self, command: &Command) -> Result<Outcome, Error> {
        match command {
            Command::Txn { txn, user_quota } => self.txn(txn, *user_quota).map(Outcome::Txn),
            Command::Grant { ttl } => Ok(Outcome::Granted(self.grant(*ttl))),
            Command::Revoke { lease } => self.revoke(*lease).map(|()| Outcome::Revoked),
        }
    }

    fn txn(&mut self, txn: &Txn, user_quota: u64) -> Result<TxnResponse, Error> {
        validate(txn)?;
        let succeeded = self.holds(&txn.compares);
        let branch = if succeeded { &txn.then } else { &txn.otherwise };
        self.check_leases(branch)?;
        self.check_quota(branch, user_quota)?;

        let mut events = Vec::new();
        let mut results = Vec::with_capacity(branch.len());
        for op in branch {
            results.push(self.step(op, &mut events));
        }
        self.commit(events);
        Ok(TxnResponse {
            succeeded,
            revision: self.revision,
            results,
        })
    }

    fn check_leases(&self, branch: &[Op]) -> Result<(), Error> {
        let known = |op: &Op| match op {
            Op::Put { lease: Some(lease), .. } => self.leases.contains_key(lease),
            _ => true,
        };
        if branch.iter().all(known) {
            Ok(())
        } else {
            Err(Error::LeaseNotFound)
        }
    }

    fn step(&mut self, op: &Op, events: &mut Vec<Event>) -> OpResult {
        match op {
            Op::Put { key, value, lease } => {
                self.put(key, value, *lease, events);
                OpResult::Put
            }
            Op::Delete { key } => OpResult::Deleted(u64::from(self.delete(key, events))),
            Op::DeletePrefix { prefix } => {
                let doomed: Vec<Arc<str>> = self.with_prefix(prefix).map(|(key, _)| Arc::clone(key)).collect();
                let deleted = doomed.iter().filter(|key| self.delete(key, events)).count();
                OpResult::Deleted(deleted as u64)
            }
            Op::Get { .. } | Op::Range(_) => {
                // A read after a write of the same transaction sees it, and carries its revision.
                let revision = self.revision + u64::from(!events.is_empty());
                self.read_op(op, revision).unwrap_or(OpResult::Put)
            }
        }
    }

    fn put(&mut self, key: &str, value: &Bytes, lease: Option<LeaseId>, events: &mut Vec<Event>) {
        let revision = self.revision + 1;
        let (key, create_revision, version) = match self.keys.get_key_value(key) {
            Some((key, old)) => (Arc::clone(key), old.create_revision, old.version + 1),
            None => (Arc::from(key), revision, 1),
        };
        let stored = Stored {
            value: value.clone(),
            create_revision,
            mod_revision: revision,
            version,
            lease,
        };
        events.push(Event::Put(stored.to_key_value(&key)));
        if let Some(holding) = lease.and_then(|lease| self.leases.get_mut(&lease)) {
            holding.keys.insert(Arc::clone(&key));
        }
        self.account(&key, value, true);
        if let Some(old) = self.keys.insert(Arc::clone(&key), stored) {
            self.account(&key, &old.value, false);
            if old.lease != lease {
                self.unbind(&key, old.lease);
            }
        }
    }

    fn delete(&mut self, key: &str, events: &mut Vec<Event>) -> bool {
        let Some(old) = self.keys.remove(key) else { return false };
        self.account(key, &old.value, false);
        self.unbind(key, old.lease);
        events.push(Event::Delete {
            key: key.to_owned(),
            revision: self.revision + 1,
        });
        true
    }

    fn grant(&mut self, ttl: Duration) -> Lease {
        let id = LeaseId(self.next_lease);
        self.next_lease += 1;
        self.leases.insert(
            id,
            Holding {
                ttl,
                keys: BTreeSet::new(),
            },
        );
        Lease { id, ttl }
    }

    fn revoke(&mut self, lease: LeaseId) -> Result<(), Error> {
        let holding = self.leases.remove(&lease).ok_or(Error::LeaseNotFound)?;
        let mut events = Vec::new();
        for key in &holding.keys {
            self.delete(key, &mut events);
        }
        self.commit(events);
        Ok(())
    }

    /// All changes of a command become one revision; none, no revision.
    fn commit(&mut self, events: Vec<Event>) {
        if !events.is_empty() {
            self.revision += 1;
            self.history.push(events);
        }
    }

    fn unbind(&mut self, key: &str, lease: Option<LeaseId>) {
        if let Some(holding) = lease.and_then(|lease| self.leases.get_mut(&lease)) {
            holding.keys.remove(key);
        }
    }

    fn account(&mut self, key: &str, value: &Bytes, added: bool) {
        let charged = charge(key, value);
        let user = if is_users(key) { charged } else { 0 };
        if added {
            self.bytes += charged;
            self.user_bytes += user;
        } else {
            self.bytes -= charged;
            self.user_bytes -= user;
        }
    }
}
