//! What a key holds.

use api::cache::{Lifetime, Packing};

use super::memory::Shared;
use super::write::{Put, Refusal};

/// Longest `Content-Type` that is kept.
pub const MAX_CONTENT_TYPE_BYTES: usize = 255;

/// A stored value. Content type and value share one allocation, and reads share it with the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Content type, then value.
    bytes: Shared,
    type_len: u8,
    packing: Packing,
    /// Whether the write of `version` found the key absent; lets its repetition be answered the same.
    pub(super) created: bool,
    pub(super) version: u64,
    pub(super) lifetime: Lifetime,
}

impl Entry {
    /// Copies value and content type; a content type that is too long is left out.
    pub(super) fn new(put: &Put<'_>, created: bool) -> Self {
        let type_len = u8::try_from(put.content_type.len()).unwrap_or_default();
        let content_type = &put.content_type.as_bytes()[..usize::from(type_len)];
        Self {
            bytes: Shared::copied(content_type, put.value),
            type_len,
            packing: put.packing,
            created,
            version: put.version,
            lifetime: put.lifetime,
        }
    }

    /// The same value with another life time.
    pub(super) fn touched(self, version: u64, lifetime: Lifetime) -> Self {
        Self {
            version,
            lifetime,
            created: false,
            ..self
        }
    }

    pub(super) const fn is_expired(&self, now_ms: u64) -> bool {
        is_over(self.lifetime.expires_at_ms, now_ms)
    }

    /// When it expires, if ever.
    pub(super) fn expiry(&self) -> Option<u64> {
        (self.lifetime.expires_at_ms != 0).then_some(self.lifetime.expires_at_ms)
    }

    /// Bytes of content type and value.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it is what a write would store.
    pub(super) fn is_of(&self, put: &Put<'_>) -> bool {
        self.lifetime == put.lifetime && self.may_be_of(put)
    }

    /// Whether it is what a write has stored that is sent again, but for what was known of a wrong clock on each of the two ways.
    pub(super) fn may_be_of(&self, put: &Put<'_>) -> bool {
        self.version == put.version
            && is_close(self.lifetime.expires_at_ms, put.lifetime.expires_at_ms)
            && is_close(self.lifetime.fresh_until_ms, put.lifetime.fresh_until_ms)
            && self.packing == put.packing
            && self.content_type() == put.content_type
            && self.value() == put.value
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.bytes[usize::from(self.type_len)..]
    }

    pub(super) fn content_type(&self) -> &str {
        // It was a str when it was copied in.
        std::str::from_utf8(&self.bytes[..usize::from(self.type_len)]).unwrap_or_default()
    }

    /// The number it is, if it is one.
    pub(super) fn integer(&self) -> Result<i64, Refusal> {
        let text = std::str::from_utf8(self.value())
            .ok()
            .filter(|_| self.packing == Packing::Plain);
        text.and_then(|text| text.parse().ok()).ok_or(Refusal::NotAnInteger)
    }
}

/// Whether two points in time may be one: that of a write which came over two ways was read by what was known of a wrong clock on each.
const fn is_close(one_ms: u64, other_ms: u64) -> bool {
    const DOUBT_MS: u64 = 2_500;
    (one_ms == 0) == (other_ms == 0) && one_ms.abs_diff(other_ms) <= DOUBT_MS
}

/// Whether a point in time has come; 0 never does.
const fn is_over(at_ms: u64, now_ms: u64) -> bool {
    at_ms != 0 && at_ms <= now_ms
}

/// A value that was found. A clone shares its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit(pub(super) Entry);

impl Hit {
    /// The value, packed as [`Hit::packing`] says.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        self.0.value()
    }

    /// The `Content-Type` it was stored with, empty when none was given.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.0.content_type()
    }

    /// How the value is packed.
    #[must_use]
    pub const fn packing(&self) -> Packing {
        self.0.packing
    }

    /// Stamp of the write that stored it.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.0.version
    }

    /// How long it lives.
    #[must_use]
    pub const fn lifetime(&self) -> Lifetime {
        self.0.lifetime
    }

    /// Whether the write of its version found the key empty.
    #[must_use]
    pub const fn created(&self) -> bool {
        self.0.created
    }

    /// Whether it should be loaded anew: it is served, but not fresh any more.
    #[must_use]
    pub const fn is_stale(&self, now_ms: u64) -> bool {
        is_over(self.0.lifetime.fresh_until_ms, now_ms)
    }
}
