//! Do the clocks of peers agree with this node's? Every answer says what time it is there, and a clock that is wrong does its harm in
//! silence: on an auxiliary that is ahead of the masters, entries with a life time are gone as soon as they are written.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use reqwest::header::{DATE, HeaderMap};

/// Least difference that is told, in seconds: dates have no fractions of them.
const TOLD: i64 = 3;
/// An answer that took longer says too little about now.
const PROMPT: Duration = Duration::from_secs(1);
/// Time between two looks at the clock of one peer.
const PAUSE: Duration = Duration::from_secs(60);

/// When the clock of each peer was looked at last.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    looked: Mutex<HashMap<String, Instant>>,
}

impl Clocks {
    /// Warns when the date of an answer that took `took` is far from this node's time, at most once a minute for each peer.
    pub(super) fn look(&self, peer: &str, took: Duration, headers: &HeaderMap) {
        if took > PROMPT || !self.is_due(peer, Instant::now()) {
            return;
        }
        let Some(ahead_s) = seconds_ahead(headers, SystemTime::now()).filter(|ahead| ahead.abs() >= TOLD) else {
            return;
        };
        tracing::warn!(
            peer,
            ahead_s,
            "the clock of a peer is not this node's: set the clocks right (NTP). Until then entries of the cache with a ttl end too early or too \
             late, and masters refuse to write over what was written ahead of their time"
        );
    }

    /// Forgets the peers that are not known any more.
    pub(super) fn retain(&self, known: impl Fn(&str) -> bool) {
        self.looked.lock().retain(|peer, _| known(peer));
    }

    fn is_due(&self, peer: &str, now: Instant) -> bool {
        let mut looked = self.looked.lock();
        match looked.get_mut(peer) {
            Some(last) if now.duration_since(*last) < PAUSE => false,
            Some(last) => {
                *last = now;
                true
            }
            None => {
                looked.insert(peer.to_owned(), now);
                true
            }
        }
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

    #[test]
    fn clock_of_a_peer_is_looked_at_once_a_minute() {
        let (clocks, begun) = (Clocks::default(), Instant::now());
        assert!(clocks.is_due("a:1", begun) && clocks.is_due("b:1", begun));
        assert!(!clocks.is_due("a:1", begun + PAUSE / 2));
        assert!(clocks.is_due("a:1", begun + PAUSE));
        clocks.retain(|peer| peer == "a:1");
        assert!(clocks.is_due("b:1", begun + PAUSE / 2) && !clocks.is_due("a:1", begun + PAUSE));
    }
}
