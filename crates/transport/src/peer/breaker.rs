//! Circuit breaker: closed → open after consecutive failures → one probe at a time until a call succeeds.

use std::time::{Duration, Instant};

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Consecutive failures that open it.
    pub failures: u32,
    /// Time until a probe is let through.
    pub cooldown: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 5,
            cooldown: Duration::from_secs(1),
        }
    }
}

/// State of one peer's breaker. Pure: time is an argument.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether a call may be made now. While open, the first call after the cooldown is the probe; the others wait for
    /// its outcome for one more cooldown.
    pub(super) fn allow(&mut self, now: Instant, policy: BreakerPolicy) -> bool {
        match self.open_until {
            None => true,
            Some(until) if now >= until => {
                self.open_until = Some(now + policy.cooldown);
                true
            }
            Some(_) => false,
        }
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(super) fn failed(&mut self, now: Instant, policy: BreakerPolicy) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= policy.failures {
            self.open_until = Some(now + policy.cooldown);
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open_until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_consecutive_failures_and_closes_when_the_probe_succeeds() {
        let (policy, start) = (
            BreakerPolicy {
                failures: 3,
                cooldown: Duration::from_secs(1),
            },
            Instant::now(),
        );
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            assert!(breaker.allow(start, policy));
            breaker.failed(start, policy);
        }
        assert!(!breaker.allow(start, policy));
        let later = start + policy.cooldown;
        assert!(breaker.allow(later, policy), "the probe");
        assert!(!breaker.allow(later, policy), "only one probe");
        breaker.succeeded();
        assert!(breaker.allow(later, policy));
    }

    #[test]
    fn a_success_between_failures_keeps_it_closed() {
        let (policy, now) = (
            BreakerPolicy {
                failures: 2,
                cooldown: Duration::from_secs(1),
            },
            Instant::now(),
        );
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            breaker.failed(now, policy);
            breaker.succeeded();
        }
        assert!(breaker.allow(now, policy));
    }
}
