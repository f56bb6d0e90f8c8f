//! What a key holds.

use bytes::Bytes;

use super::write::Put;

/// Memory one entry takes besides the bytes of its key, value and content type: list node, table slot, three
/// allocations with their headers. Measured with mimalloc and glibc; `tests/memory.rs` holds it to the resident size.
pub(super) const ENTRY_OVERHEAD: usize = 224;

/// Memory an entry that expires takes beyond that: its place in the expiry index.
pub(super) const EXPIRY_OVERHEAD: usize = 72;

/// Longest `Content-Type` that is kept.
pub const MAX_CONTENT_TYPE_BYTES: usize = 255;

/// A stored value. Content type and value share one allocation, and reads share it with the table.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Content type, then value.
    pub(super) bytes: Bytes,
    pub(super) type_len: u8,
    /// Whether the write of `version` found the key absent; lets its repetition be answered the same.
    pub(super) created: bool,
    pub(super) version: u64,
    /// Unix milliseconds; 0 never.
    pub(super) expires_at_ms: u64,
}

impl Entry {
    /// Copies value and content type; the caller has checked the length of the latter.
    pub(super) fn new(value: &[u8], content_type: &str, version: u64, expires_at_ms: u64, created: bool) -> Self {
        let type_len = u8::try_from(content_type.len()).unwrap_or_default();
        let content_type = &content_type.as_bytes()[..usize::from(type_len)];
        let bytes = if content_type.is_empty() {
            Bytes::copy_from_slice(value)
        } else {
            Bytes::from([content_type, value].concat())
        };
        Self {
            bytes,
            type_len,
            created,
            version,
            expires_at_ms,
        }
    }

    pub(super) const fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_at_ms != 0 && self.expires_at_ms <= now_ms
    }

    /// Memory it is accounted for under a key of `key_len` bytes.
    pub(super) fn cost(&self, key_len: usize) -> usize {
        cost(key_len, self.bytes.len(), self.expires_at_ms != 0)
    }

    /// Whether it is what a write would store.
    pub(super) fn is_of(&self, put: &Put<'_>) -> bool {
        let (content_type, value) = self.bytes.split_at(usize::from(self.type_len));
        self.expires_at_ms == put.expires_at_ms && content_type == put.content_type.as_bytes() && value == put.value
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.bytes[usize::from(self.type_len)..]
    }
}

/// Memory an entry is accounted for.
pub(super) const fn cost(key_len: usize, bytes_len: usize, expires: bool) -> usize {
    key_len + bytes_len + ENTRY_OVERHEAD + if expires { EXPIRY_OVERHEAD } else { 0 }
}

/// A value that was found.
#[derive(Debug, Clone)]
pub struct Hit(pub(super) Entry);

impl Hit {
    /// The value.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        self.0.value()
    }

    /// The `Content-Type` it was stored with, empty when none was given.
    #[must_use]
    pub fn content_type(&self) -> &str {
        // It was a str when it was copied in.
        std::str::from_utf8(&self.0.bytes[..usize::from(self.0.type_len)]).unwrap_or_default()
    }

    /// Stamp of the write that stored it.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.0.version
    }

    /// Unix milliseconds at which it expires; 0 never.
    #[must_use]
    pub const fn expires_at_ms(&self) -> u64 {
        self.0.expires_at_ms
    }
}
