//! When leases end, as the raft leader sees it: a pure book of deadlines on its monotonic clock.
//!
//! A new leader knows nothing of how long a lease has been silent, so each gets its full ttl again. A lease whose
//! revocation has been proposed cannot be renewed any more: whoever hears that it lives may rely on it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;
use crate::types::LeaseId;

/// Deadlines of the leases during one leadership.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// The latest term heard of. What belongs to an older one is stale.
    term: u64,
    leading: bool,
    deadlines: HashMap<LeaseId, Deadline>,
}

#[derive(Debug, Clone, Copy)]
struct Deadline {
    at: Instant,
    ending: bool,
}

impl Deadlines {
    /// Takes note of a term and whether this node leads it. All deadlines are forgotten when that has changed.
    pub(crate) fn lead(&mut self, term: u64, leading: bool) {
        if (term, leading) > (self.term, self.leading) || (term == self.term && !leading) {
            if (term, leading) != (self.term, self.leading) {
                self.deadlines.clear();
            }
            (self.term, self.leading) = (term, leading);
        }
    }

    /// Takes note of which leases there are; new ones get their full ttl from now. Returns those that have ended and
    /// are to be revoked; they cannot be renewed from here on.
    pub(crate) fn end(&mut self, leases: impl Iterator<Item = (LeaseId, Duration)>, now: Instant) -> Vec<LeaseId> {
        if !self.leading {
            return Vec::new();
        }
        let mut known = std::mem::take(&mut self.deadlines);
        let mut ended = Vec::new();
        for (lease, ttl) in leases {
            let mut deadline = known.remove(&lease).unwrap_or(Deadline {
                at: now + ttl,
                ending: false,
            });
            if deadline.at <= now {
                deadline.ending = true;
                ended.push(lease);
            }
            self.deadlines.insert(lease, deadline);
        }
        ended
    }

    /// Gives a lease its full ttl from now, in a term that this node leads.
    pub(crate) fn renew(&mut self, term: u64, lease: LeaseId, ttl: Duration, now: Instant) -> Result<(), Error> {
        if term < self.term {
            return Err(Error::Unavailable("the raft leader has changed".to_owned()));
        }
        self.lead(term, true);
        let deadline = self.deadlines.entry(lease).or_insert(Deadline { at: now, ending: false });
        if deadline.ending {
            return Err(Error::LeaseNotFound);
        }
        deadline.at = now + ttl;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: LeaseId = LeaseId(7);
    const TTL: Duration = Duration::from_secs(10);

    fn leases() -> impl Iterator<Item = (LeaseId, Duration)> {
        [(LEASE, TTL)].into_iter()
    }

    #[test]
    fn a_silent_lease_ends_after_its_ttl() {
        let mut deadlines = Deadlines::default();
        let start = Instant::now();
        deadlines.lead(1, true);
        assert!(deadlines.end(leases(), start).is_empty());
        assert!(deadlines.end(leases(), start + TTL / 2).is_empty());
        assert_eq!(deadlines.end(leases(), start + TTL), [LEASE]);
    }

    #[test]
    fn a_renewed_lease_lives_on() {
        let mut deadlines = Deadlines::default();
        let start = Instant::now();
        deadlines.lead(1, true);
        deadlines.end(leases(), start);
        deadlines.renew(1, LEASE, TTL, start + TTL / 2).unwrap();
        assert!(deadlines.end(leases(), start + TTL).is_empty());
        assert_eq!(deadlines.end(leases(), start + TTL * 3 / 2), [LEASE]);
    }

    #[test]
    fn a_lease_that_is_ending_cannot_be_renewed() {
        let mut deadlines = Deadlines::default();
        let start = Instant::now();
        deadlines.lead(1, true);
        deadlines.end(leases(), start);
        assert_eq!(deadlines.end(leases(), start + TTL), [LEASE]);
        assert_eq!(deadlines.renew(1, LEASE, TTL, start + TTL), Err(Error::LeaseNotFound));
        assert_eq!(
            deadlines.end(leases(), start + TTL),
            [LEASE],
            "the revocation is proposed until it happens"
        );
    }

    #[test]
    fn a_new_leader_gives_the_full_ttl_again() {
        let mut deadlines = Deadlines::default();
        let start = Instant::now();
        deadlines.lead(1, true);
        deadlines.end(leases(), start);
        deadlines.lead(2, true);
        assert!(deadlines.end(leases(), start + TTL).is_empty());
        assert_eq!(deadlines.end(leases(), start + 2 * TTL), [LEASE]);
    }

    #[test]
    fn a_renewal_in_an_old_term_is_refused() {
        let mut deadlines = Deadlines::default();
        deadlines.lead(2, true);
        let renewed = deadlines.renew(1, LEASE, TTL, Instant::now());
        assert!(matches!(renewed, Err(Error::Unavailable(_))), "{renewed:?}");
    }

    #[test]
    fn only_a_leader_ends_leases() {
        let mut deadlines = Deadlines::default();
        let start = Instant::now();
        deadlines.lead(1, true);
        deadlines.end(leases(), start);
        deadlines.lead(1, false);
        assert!(deadlines.end(leases(), start + 2 * TTL).is_empty());
    }
}
