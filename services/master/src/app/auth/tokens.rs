//! Tokens that others sign: verified once, then remembered until they end or the key set changes.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use access::{Caller, Expected, KeyHash, Refused, Signers};
use arc_swap::ArcSwapOption;
use lifecycle::CancellationToken;
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::identities::Unknown;
use super::{Source, now_ms};

/// Tokens that are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(8_192).expect("it is not zero");
/// Least time between two reads of a set because a token names a key that is not in it.
const LEAST_PAUSE: Duration = Duration::from_secs(10);
/// Time until a set that could not be read is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Who signs tokens, and tokens that were found right.
#[derive(Debug)]
pub struct Tokens {
    source: Source,
    expected: Expected,
    signers: ArcSwapOption<Signers>,
    seen: Mutex<LruCache<KeyHash, Seen>>,
    /// Somebody showed a token by a key that is not in the set.
    wanted: Notify,
}

/// A token that was found right, by this set of keys.
#[derive(Debug)]
struct Seen {
    caller: Arc<Caller>,
    signers: Arc<Signers>,
}

impl Tokens {
    /// By the keys at `source`, which are read by [`Tokens::run`].
    #[must_use]
    pub fn new(source: Source, expected: Expected) -> Self {
        Self {
            source,
            expected,
            signers: ArcSwapOption::empty(),
            seen: Mutex::new(LruCache::new(REMEMBERED)),
            wanted: Notify::new(),
        }
    }

    /// Who has this token.
    pub(super) fn identify(&self, token: &str) -> Result<Arc<Caller>, Unknown> {
        let Some(signers) = self.signers.load_full() else {
            let detail = format!("this master could not read the keys that sign tokens yet ({})", self.source);
            return Err(Unknown::NotNow(detail.into()));
        };
        let hash = KeyHash::of(token.as_bytes());
        if let Some(seen) = self.seen.lock().get(&hash)
            && Arc::ptr_eq(&seen.signers, &signers)
            && seen.caller.expires_at_ms.is_some_and(|at| now_ms() < at)
        {
            return Ok(Arc::clone(&seen.caller));
        }
        match signers.verify(token, &self.expected) {
            Ok(verified) => {
                let caller = Arc::new(verified.caller);
                let seen = Seen {
                    caller: Arc::clone(&caller),
                    signers,
                };
                self.seen.lock().put(hash, seen);
                Ok(caller)
            }
            Err(refused) => {
                if matches!(refused, Refused::UnknownKey(_)) {
                    self.wanted.notify_one();
                }
                Err(Unknown::Wrong(refused.to_string().into()))
            }
        }
    }

    /// Reads the set until `stop`: as often as its source wants, and when a token names a key that is not in it.
    pub async fn run(&self, stop: CancellationToken) {
        let mut known = None;
        let reading = async {
            loop {
                let begun = Instant::now();
                let pause = match self.source.read(&mut known).await {
                    Ok(None) => self.source.pause(),
                    Ok(Some(signers)) => {
                        tracing::info!(source = %self.source, keys = ?signers.ids(), "read the keys that sign tokens");
                        self.signers.store(Some(Arc::new(signers)));
                        self.source.pause()
                    }
                    Err(reason) => {
                        tracing::warn!(source = %self.source, reason, "the keys that sign tokens cannot be read; those that are known stay");
                        RETRY
                    }
                };
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.wanted.notified() => tokio::time::sleep_until(begun + LEAST_PAUSE.min(pause)).await,
                }
            }
        };
        tokio::select! {
            () = reading => {}
            () = stop.cancelled() => {}
        }
    }
}
