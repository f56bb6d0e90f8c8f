//! Token buckets without tokens: the generic cell rate algorithm (ITU-T I.371, annex A).
//!
//! Instead of tokens that must be filled up, one moment is kept: when the bucket would be full again. A request moves it on by what one request
//! costs; when that is further away than the burst, it is refused, and nothing has changed. Pure: the clock is the caller's.

use std::time::Duration;

/// How many requests, and how many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Requests a second; 0 for no limit.
    pub(crate) per_second: u32,
    /// Requests that may come at once; 0 for as many as come in a second.
    pub(crate) burst: u32,
}

/// Where a caller stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Requests that may come at once.
    pub(crate) limit: u32,
    /// How many may come now.
    pub(crate) remaining: u32,
    /// Time until all of them may.
    pub(crate) reset: Duration,
    /// Requests a second.
    pub(crate) per_second: u32,
}

/// A bucket: nanoseconds of the caller's clock at which it is full again. A new one is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bucket(u64);

impl Rate {
    pub(crate) const fn is_off(self) -> bool {
        self.per_second == 0
    }

    const fn burst(self) -> u32 {
        if self.burst == 0 { self.per_second } else { self.burst }
    }

    /// Nanoseconds that one request costs.
    fn cost(self) -> u64 {
        (1_000_000_000 / u64::from(self.per_second.max(1))).max(1)
    }
}

impl Bucket {
    /// Takes one request out at `now`; an error says when one would be admitted.
    pub(crate) fn take(&mut self, rate: Rate, now: Duration) -> Result<Standing, (Duration, Standing)> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let (cost, whole) = (rate.cost(), rate.cost().saturating_mul(u64::from(rate.burst())));
        let full_at = self.0.max(now).saturating_add(cost);
        let taken = full_at - now;
        if taken > whole {
            let after = Duration::from_nanos(taken - whole);
            return Err((after, standing(rate, self.0.saturating_sub(now))));
        }
        self.0 = full_at;
        Ok(standing(rate, taken))
    }
}

/// With so many nanoseconds' worth of requests taken out.
fn standing(rate: Rate, taken: u64) -> Standing {
    let used = taken.div_ceil(rate.cost());
    Standing {
        limit: rate.burst(),
        remaining: rate.burst().saturating_sub(u32::try_from(used).unwrap_or(u32::MAX)),
        reset: Duration::from_nanos(taken),
        per_second: rate.per_second,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 3,
    };

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_goes_through_then_the_rate() {
        let mut bucket = Bucket::default();
        let remaining: Vec<u32> = (0..3).map(|_| bucket.take(RATE, at(5000)).unwrap().remaining).collect();
        assert_eq!(remaining, [2, 1, 0]);
        let (after, standing) = bucket.take(RATE, at(5000)).unwrap_err();
        assert_eq!((after, standing.remaining, standing.limit), (at(100), 0, 3));
        assert_eq!(bucket.take(RATE, at(5099)).unwrap_err().0, at(1));
        assert_eq!(bucket.take(RATE, at(5100)).unwrap().remaining, 0);
        let rested = bucket.take(RATE, at(60_000)).unwrap();
        assert_eq!((rested.remaining, rested.reset), (2, at(100)));
    }

    #[test]
    fn without_a_burst_a_seconds_worth_may_come_at_once() {
        let (mut bucket, rate) = (Bucket::default(), Rate { per_second: 5, burst: 0 });
        let admitted = (0..20).filter(|_| bucket.take(rate, at(0)).is_ok()).count();
        assert_eq!(admitted, 5);
    }

    proptest! {
        /// Over any span of time no more are admitted than the burst and what the rate gives in it; whoever waits as told is admitted.
        #[test]
        fn never_more_than_burst_and_rate(
            per_second in 1_u32..2000, burst in 0_u32..50, steps in proptest::collection::vec(0_u64..200_000_000, 1..200),
        ) {
            let rate = Rate { per_second, burst };
            let (mut bucket, mut now, mut admitted) = (Bucket::default(), 1_000_u64, Vec::new());
            for step in steps {
                now += step;
                match bucket.take(rate, Duration::from_nanos(now)) {
                    Ok(standing) => {
                        prop_assert!(standing.remaining < standing.limit);
                        admitted.push(now);
                    }
                    Err((after, standing)) => {
                        prop_assert_eq!(standing.remaining, 0);
                        let mut later = bucket;
                        prop_assert!(later.take(rate, Duration::from_nanos(now) + after).is_ok());
                        let mut sooner = bucket;
                        prop_assert!(sooner.take(rate, Duration::from_nanos(now) + after - Duration::from_nanos(1)).is_err());
                    }
                }
            }
            for (first, from) in admitted.iter().enumerate() {
                for (last, to) in admitted.iter().enumerate().skip(first) {
                    let most = u64::from(rate.burst()) + (to - from) / rate.cost();
                    prop_assert!((last - first) as u64 <= most);
                }
            }
        }

        /// A clock that stands still or runs wild makes nobody panic.
        #[test]
        fn any_clock_will_do(per_second in 0_u32.., burst in 0_u32.., times in proptest::collection::vec(any::<u64>(), 1..20)) {
            let mut bucket = Bucket::default();
            for time in times {
                let _ = bucket.take(Rate { per_second, burst }, Duration::from_nanos(time));
            }
        }
    }
}
