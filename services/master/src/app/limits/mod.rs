//! How much one caller may ask: requests a second, and requests at once, counted by address and by who asks.
//!
//! Each master counts for itself. Counting together would be a round trip for every request, and what limits are for, that nobody takes it all, is reached
//! without: behind a load balancer each master sees its share of everybody's requests.

mod address;
mod bucket;
mod in_flight;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::{IntCounter, Registry};
use telemetry::Metrics;

pub(crate) use address::{Network, TrustedProxies};
pub(crate) use bucket::{Bucket, Rate, Standing};
pub(crate) use in_flight::Held;
use in_flight::InFlight;
pub(crate) use transport::callers::{Table, counted};

/// Addresses and callers that are remembered, of each kind: some megabytes.
const REMEMBERED: usize = 65_536;

/// What is allowed; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) per_address: Rate,
    pub(crate) per_key: Rate,
    pub(crate) address_in_flight: usize,
    pub(crate) key_in_flight: usize,
}

/// Counts requests, and refuses those that are too many.
#[derive(Debug)]
pub(crate) struct Limits {
    began: Instant,
    addresses: Limit<IpAddr>,
    callers: Limit<String>,
}

/// A request that may go on: it counts as under way until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    /// Where the caller stands, when there is a rate.
    pub(crate) standing: Option<Standing>,
    /// Its place among those under way, when they are bounded.
    pub(crate) held: Option<Held>,
}

/// One that may not.
#[derive(Debug)]
pub(crate) struct Exceeded {
    /// What there was too much of, for people.
    pub(crate) what: String,
    /// When to try again.
    pub(crate) retry_after: Duration,
    /// Where the caller stands, when it was the rate.
    pub(crate) standing: Option<Standing>,
}

/// The limits of one kind of caller.
#[derive(Debug)]
struct Limit<K> {
    whose: &'static str,
    rate: Rate,
    buckets: Table<K, Bucket>,
    in_flight: Arc<InFlight<K>>,
    refused_rate: IntCounter,
    refused_in_flight: IntCounter,
}

impl Limits {
    pub(crate) fn new(policy: Policy, registry: &Registry) -> Self {
        let refused = Metrics::new(registry).counters(
            "requests_limited_total",
            "Requests refused with 429 by the limits of addresses and keys.",
            &["limit"],
        );
        let limit = |name: &str| refused.with_label_values(&[name]);
        Self {
            began: Instant::now(),
            addresses: Limit {
                whose: "your address",
                rate: policy.per_address,
                buckets: Table::new(REMEMBERED),
                in_flight: InFlight::new(policy.address_in_flight),
                refused_rate: limit("address_rate"),
                refused_in_flight: limit("address_in_flight"),
            },
            callers: Limit {
                whose: "this key",
                rate: policy.per_key,
                buckets: Table::new(REMEMBERED),
                in_flight: InFlight::new(policy.key_in_flight),
                refused_rate: limit("key_rate"),
                refused_in_flight: limit("key_in_flight"),
            },
        }
    }

    /// A request from an address.
    pub(crate) fn address(&self, address: IpAddr) -> Result<Pass, Exceeded> {
        if self.addresses.is_off() {
            return Ok(Pass::default());
        }
        self.addresses.admit(&counted(address), self.began.elapsed())
    }

    /// Whether it matters who asks.
    pub(crate) fn concern_callers(&self) -> bool {
        !self.callers.is_off()
    }

    /// A request of somebody: the identity of a key, the subject of a token, or nobody in particular.
    pub(crate) fn caller(&self, id: &str) -> Result<Pass, Exceeded> {
        if self.callers.is_off() {
            return Ok(Pass::default());
        }
        self.callers.admit(id, self.began.elapsed())
    }
}

impl<K: std::hash::Hash + Eq + Clone + Send + Sync + 'static> Limit<K> {
    fn is_off(&self) -> bool {
        self.rate.is_off() && self.in_flight.is_off()
    }

    fn admit<Q>(&self, caller: &Q, now: Duration) -> Result<Pass, Exceeded>
    where
        K: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let mut pass = Pass::default();
        // First those at once: a request that is refused for that costs nothing of the rate.
        if !self.in_flight.is_off() {
            let Some(held) = self.in_flight.begin(caller) else {
                self.refused_in_flight.inc();
                return Err(Exceeded {
                    what: format!(
                        "{} has {} requests under way, as many as it may",
                        self.whose,
                        self.in_flight.most()
                    ),
                    retry_after: Duration::from_secs(1),
                    standing: None,
                });
            };
            pass.held = Some(held);
        }
        if !self.rate.is_off() {
            let taken = self.buckets.with(caller, |bucket| bucket.take(self.rate, now));
            let standing = taken.map_err(|(retry_after, standing)| {
                self.refused_rate.inc();
                Exceeded {
                    what: format!("{} may send {} requests a second", self.whose, self.rate.per_second),
                    retry_after,
                    standing: Some(standing),
                }
            })?;
            pass.standing = Some(standing);
        }
        Ok(pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: Rate = Rate { per_second: 0, burst: 0 };
    const ONE: Rate = Rate { per_second: 1, burst: 1 };

    fn limits(per_address: Rate, per_key: Rate, address_in_flight: usize, key_in_flight: usize) -> Limits {
        let policy = Policy {
            per_address,
            per_key,
            address_in_flight,
            key_in_flight,
        };
        Limits::new(policy, &telemetry::new_registry())
    }

    #[test]
    fn callers_and_addresses_are_counted_apart() {
        let limits = limits(ONE, ONE, 0, 0);
        let (here, there): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        assert!(limits.address(here).is_ok() && limits.address(there).is_ok());
        assert!(limits.caller("a").is_ok() && limits.caller("b").is_ok());
        let refused = limits.address(here).unwrap_err();
        assert!(
            refused.retry_after <= Duration::from_secs(1) && refused.what.contains("your address"),
            "{refused:?}"
        );
        assert!(limits.caller("a").unwrap_err().what.contains("this key"));
    }

    #[test]
    fn a_request_under_way_counts_until_its_pass_is_dropped() {
        let limits = limits(OFF, OFF, 0, 1);
        let pass = limits.caller("a").unwrap();
        assert!(limits.caller("a").is_err() && limits.caller("b").is_ok());
        drop(pass);
        assert!(limits.caller("a").is_ok());
    }

    #[test]
    fn a_refused_request_leaves_nothing_under_way() {
        let limits = limits(OFF, ONE, 0, 5);
        drop(limits.caller("a"));
        for _ in 0..20 {
            let refused = limits.caller("a").unwrap_err();
            assert!(refused.standing.is_some(), "it is the rate that refuses: {refused:?}");
        }
    }

    #[test]
    fn limits_that_are_off_refuse_nothing() {
        let limits = limits(OFF, OFF, 0, 0);
        let address = "10.0.0.1".parse().unwrap();
        for _ in 0..1000 {
            let pass = limits.address(address).unwrap();
            assert!(pass.standing.is_none() && pass.held.is_none());
        }
    }
}
