//! When a call is made again.

use std::time::Duration;

use super::PeerError;

/// What a caller knows about repeating a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The caller handles failures itself.
    Never,
    /// A write: again only when it was certainly not executed.
    NotExecuted,
    /// A read, or a write that carries its own stamp: again after any failure of the peer.
    Always,
}

const FIRST_BACKOFF: Duration = Duration::from_millis(25);
const LAST_BACKOFF: Duration = Duration::from_secs(1);

impl Retry {
    /// Whether this failure is worth another attempt.
    pub(super) const fn covers(self, error: &PeerError) -> bool {
        let not_executed = matches!(error, PeerError::Unreachable { .. }) || error.code().is_retryable();
        match self {
            Self::Never => false,
            Self::NotExecuted => not_executed,
            Self::Always => not_executed || matches!(error, PeerError::NoAnswer { .. }),
        }
    }

    /// Pause before attempt `n` (1 is the first repetition): exponential, with full jitter.
    pub(super) fn backoff(attempt: u32) -> Duration {
        let ceiling = FIRST_BACKOFF.saturating_mul(1 << attempt.min(6)).min(LAST_BACKOFF);
        ceiling.mul_f64(fastrand::f64())
    }
}
