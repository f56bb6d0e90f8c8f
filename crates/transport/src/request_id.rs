//! The identity of the request a piece of code works for.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderValue;

/// Longest identity accepted from a client; a longer one, or one with odd bytes, is replaced.
const MAX_BYTES: usize = 128;

static NEXT: AtomicU64 = AtomicU64::new(1);
static PREFIX: LazyLock<u64> = LazyLock::new(|| fastrand::u64(..));

tokio::task_local! {
    static CURRENT: RequestId;
}

/// Value of `X-Request-Id`: the client's own when it sent a usable one, otherwise 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Takes over the client's, or makes one.
    #[must_use]
    pub fn accept(sent: Option<&HeaderValue>) -> Self {
        let usable =
            |value: &&HeaderValue| (1..=MAX_BYTES).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
        sent.filter(usable).cloned().map_or_else(Self::generate, Self)
    }

    /// An identity nobody had before: a random prefix of the process and a counter.
    #[must_use]
    pub fn generate() -> Self {
        let text = format!("{:016x}{:016x}", *PREFIX, NEXT.fetch_add(1, Ordering::Relaxed));
        Self(HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("invalid")))
    }

    /// That of the request being answered, if any.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// As a header value.
    #[must_use]
    pub const fn header(&self) -> &HeaderValue {
        &self.0
    }

    /// Runs a future under this identity.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}
