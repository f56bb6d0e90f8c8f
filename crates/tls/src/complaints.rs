//! Refusals that are told, at a bounded rate: whoever knocks in vain a thousand times a second fills no disk.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::warn;

/// Time between two lines about the same reason.
const PAUSE: Duration = Duration::from_secs(10);

/// What was told of each reason, of which there are a few.
#[derive(Debug, Default)]
pub(crate) struct Complaints(Mutex<BTreeMap<&'static str, Told>>);

#[derive(Debug)]
struct Told {
    at: Instant,
    since: u64,
}

impl Complaints {
    /// Tells of a refusal, unless one for the same reason was told just now.
    pub(crate) fn tell(&self, reason: &'static str, from: &str, detail: &str) {
        if let Some(untold) = self.due(reason, Instant::now()) {
            warn!(from, reason, detail, untold, "a connection was refused: {}", advice(reason));
        }
    }

    /// Whether it is time to tell again, and how many went untold.
    fn due(&self, reason: &'static str, now: Instant) -> Option<u64> {
        let mut told = self.0.lock();
        match told.get_mut(reason) {
            Some(told) if now < told.at + PAUSE => {
                told.since += 1;
                None
            }
            Some(told) => {
                let untold = std::mem::take(&mut told.since);
                told.at = now;
                Some(untold)
            }
            None => {
                told.insert(reason, Told { at: now, since: 0 });
                Some(0)
            }
        }
    }
}

/// What it means, for whoever looks after both ends.
fn advice(reason: &str) -> &'static str {
    match reason {
        "no_certificate" => "it shows no certificate; nodes have TLS_CERT, TLS_KEY and TLS_CA",
        "expired" => "its certificate has expired; make a new one (elasticore certs renew)",
        "not_yet_valid" => "its certificate is not valid yet; are the clocks right?",
        "unknown_authority" => "no authority that this node trusts (TLS_CA) has signed its certificate",
        "bad_certificate" => "its certificate cannot be used",
        "not_tls" => "it does not speak TLS; this port is encrypted",
        "too_old" => "it has no version or cipher in common with this node; TLS 1.2 is the oldest",
        "refused_by_client" => "it does not take this node's certificate; does its TLS_CA hold the authority of this one's?",
        "too_slow" => "it did not finish the handshake in time",
        _ => "the handshake failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_reason_is_told_once_in_a_while_with_how_many_went_untold() {
        let (complaints, start) = (Complaints::default(), Instant::now());
        assert_eq!(complaints.due("expired", start), Some(0));
        for _ in 0..1000 {
            assert_eq!(complaints.due("expired", start + PAUSE / 2), None);
        }
        assert_eq!(complaints.due("not_tls", start + PAUSE / 2), Some(0));
        assert_eq!(complaints.due("expired", start + PAUSE), Some(1000));
    }
}
