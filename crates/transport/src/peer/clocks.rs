//! Do the clocks of peers agree with this node's? Every answer says what time it is there, and a clock that is wrong does its harm in
//! silence: logs that do not fit together, certificates and tokens that are over too early, `expires_at` of clients at another moment.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use prometheus::IntGaugeVec;
use reqwest::header::{DATE, HeaderMap};
use telemetry::Metrics;

/// Least difference that is told, in seconds: dates have no fractions of them.
const TOLD: i64 = 3;
/// An answer that took longer says too little about now.
const PROMPT: Duration = Duration::from_secs(1);
/// Time between two looks at the clock of one peer.
const PAUSE: Duration = Duration::from_secs(10);
/// Looks from one warning to the next.
const LOOKS_TO_WARN: u64 = 6;

/// The clocks of peers, as they were when they were looked at last.
#[derive(Debug)]
pub(super) struct Clocks {
    looked: Mutex<HashMap<String, Look>>,
    offset: IntGaugeVec,
}

/// When a clock was looked at last, and how often it was wrong in a row.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Instant,
    wrong: u64,
}

impl Clocks {
    pub(super) fn new(metrics: &Metrics<'_>) -> Self {
        let help = "How far the clock of a peer is ahead of this node's, in whole seconds; negative when it is behind.";
        Self {
            looked: Mutex::default(),
            offset: metrics.int_gauges("peer_clock_offset_seconds", help, &["peer"]),
        }
    }

    /// Takes note of the date of an answer that took `took`, now and then, and warns about once a minute while it is far from this node's.
    pub(super) fn look(&self, peer: &str, took: Duration, headers: &HeaderMap) {
        if took > PROMPT || !self.is_due(peer, Instant::now()) {
            return;
        }
        let Some(ahead_s) = seconds_ahead(headers, SystemTime::now()) else {
            return;
        };
        self.offset.with_label_values(&[peer]).set(ahead_s);
        if self.is_to_be_told(peer, ahead_s) {
            tracing::warn!(
                peer,
                ahead_s,
                "the clock of a peer is not this node's: set the clocks right (NTP). If all peers are said to differ, it is this node's. \
                 Life times of cache entries are not touched by it; expires_at, certificates, tokens and times in logs are"
            );
        }
    }

    /// Forgets the peers that are not known any more.
    pub(super) fn retain(&self, known: impl Fn(&str) -> bool) {
        self.looked.lock().retain(|peer, _| {
            let stays = known(peer);
            if !stays {
                // A series that was never made is not there to be removed, which is what is wanted.
                self.offset.remove_label_values(&[peer]).ok();
            }
            stays
        });
    }

    fn is_due(&self, peer: &str, now: Instant) -> bool {
        let mut looked = self.looked.lock();
        match looked.get_mut(peer) {
            Some(last) if now.duration_since(last.at) < PAUSE => false,
            Some(last) => {
                last.at = now;
                true
            }
            None => {
                looked.insert(peer.to_owned(), Look { at: now, wrong: 0 });
                true
            }
        }
    }

    fn is_to_be_told(&self, peer: &str, ahead_s: i64) -> bool {
        let mut looked = self.looked.lock();
        let Some(look) = looked.get_mut(peer) else { return false };
        look.wrong = if ahead_s.abs() < TOLD { 0 } else { look.wrong + 1 };
        look.wrong % LOOKS_TO_WARN == 1
    }
}

/// How far the sender's clock is ahead of `now`, or behind when it is negative; nothing when it does not say.
fn seconds_ahead(headers: &HeaderMap, now: SystemTime) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let seconds = |passed: Duration| i64::try_from(passed.as_secs()).ok();
    match date.duration_since(now) {
        Ok(ahead) => seconds(ahead),
        Err(error) => seconds(error.duration()).map(i64::wrapping_neg),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn dated(date: SystemTime) -> HeaderMap {
        let value = HeaderValue::from_str(&httpdate::fmt_http_date(date)).unwrap();
        HeaderMap::from_iter([(DATE, value)])
    }

    #[test]
    fn difference_has_the_sign_of_the_peer() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let hour = Duration::from_secs(3600);
        assert_eq!(seconds_ahead(&dated(now + hour), now), Some(3600));
        assert_eq!(seconds_ahead(&dated(now - hour), now), Some(-3600));
        assert_eq!(seconds_ahead(&dated(now), now + Duration::from_millis(900)), Some(0));
        assert_eq!(seconds_ahead(&HeaderMap::new(), now), None);
        assert_eq!(
            seconds_ahead(&HeaderMap::from_iter([(DATE, HeaderValue::from_static("soon"))]), now),
            None
        );
    }

    fn clocks(registry: &telemetry::Registry) -> Clocks {
        Clocks::new(&Metrics::new(registry))
    }

    #[test]
    fn clock_of_a_peer_is_looked_at_every_ten_seconds() {
        let (clocks, begun) = (clocks(&telemetry::new_registry()), Instant::now());
        assert!(clocks.is_due("a:1", begun) && clocks.is_due("b:1", begun));
        assert!(!clocks.is_due("a:1", begun + PAUSE / 2));
        assert!(clocks.is_due("a:1", begun + PAUSE));
        clocks.retain(|peer| peer == "a:1");
        assert!(clocks.is_due("b:1", begun + PAUSE / 2) && !clocks.is_due("a:1", begun + PAUSE));
    }

    #[test]
    fn wrong_clock_is_told_at_once_and_then_once_a_minute() {
        let clocks = clocks(&telemetry::new_registry());
        clocks.is_due("a:1", Instant::now());
        let told: Vec<bool> = (0..8).map(|_| clocks.is_to_be_told("a:1", -3600)).collect();
        assert_eq!(told, [true, false, false, false, false, false, true, false]);
        assert!(!clocks.is_to_be_told("a:1", 1) && clocks.is_to_be_told("a:1", 3));
    }

    #[test]
    fn offset_is_a_figure_until_the_peer_leaves() {
        let registry = telemetry::new_registry();
        let clocks = clocks(&registry);
        clocks.look("a:1", Duration::ZERO, &dated(SystemTime::now() + Duration::from_secs(3600)));
        let offset = clocks.offset.with_label_values(&["a:1"]).get();
        assert!((3598..=3600).contains(&offset), "{offset}");
        clocks.retain(|_| false);
        assert!(
            registry
                .gather()
                .iter()
                .all(|family| family.name() != "peer_clock_offset_seconds")
        );
    }
}
