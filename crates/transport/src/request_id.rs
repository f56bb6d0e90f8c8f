//! The identity of the request a piece of code works for.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderValue;

use crate::current::Current;

static NEXT: AtomicU64 = AtomicU64::new(1);
static PREFIX: LazyLock<[u8; 16]> = LazyLock::new(|| hexadecimal(fastrand::u64(..)));

/// Value of `X-Request-Id`: the client's own when it sent a usable one, otherwise 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Longest identity accepted from a client; a longer one, or one with odd bytes, is replaced.
    pub(crate) const MAX_BYTES: usize = 128;

    /// Takes over the client's, or makes one.
    #[must_use]
    pub fn accept(sent: Option<&HeaderValue>) -> Self {
        let usable = |value: &&HeaderValue| {
            (1..=Self::MAX_BYTES).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        sent.filter(usable).cloned().map_or_else(Self::generate, Self)
    }

    /// That which a peer sent along, by the same rule.
    pub(crate) fn from_bytes(sent: &[u8]) -> Self {
        Self::accept(HeaderValue::from_bytes(sent).ok().as_ref())
    }

    /// An identity nobody had before: a random prefix of the process and a counter.
    #[must_use]
    pub fn generate() -> Self {
        let mut text = [0; 32];
        text[..16].copy_from_slice(&*PREFIX);
        text[16..].copy_from_slice(&hexadecimal(NEXT.fetch_add(1, Ordering::Relaxed)));
        Self(HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("invalid")))
    }

    /// That of the request being answered, if any.
    #[must_use]
    pub fn current() -> Option<Self> {
        Current::look(|current| current.id.clone())
    }

    /// As a header value.
    #[must_use]
    pub const fn header(&self) -> &HeaderValue {
        &self.0
    }

    /// Gives the header value away.
    pub(crate) fn into_header(self) -> HeaderValue {
        self.0
    }

    /// Runs a future under this identity.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        let current = Current {
            id: self,
            asked: None,
            trace: None,
        };
        current.scope(future).await
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

fn hexadecimal(number: u64) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|place| DIGITS[(number >> (60 - 4 * place)) as usize & 15])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_identities_are_32_digits_and_never_the_same() {
        let ids: std::collections::HashSet<String> = (0..1000).map(|_| RequestId::generate().to_string()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(
            ids.iter()
                .all(|id| id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit()))
        );
        assert_eq!(hexadecimal(0x0123_4567_89ab_cdef), *b"0123456789abcdef");
    }
}
