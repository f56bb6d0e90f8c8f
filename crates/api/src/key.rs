//! Keys of the cache and of the key-value store.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;

/// A key that is not acceptable, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// The empty string names nothing.
    #[error("the key is empty; give it 1 to {MAX_KEY_BYTES} bytes of UTF-8")]
    Empty,
    /// Longer than [`MAX_KEY_BYTES`].
    #[error("the key has {0} bytes; at most {MAX_KEY_BYTES} are allowed")]
    TooLong(usize),
    /// Not UTF-8 after percent-decoding.
    #[error("the key is not valid UTF-8 after percent-decoding")]
    NotUtf8,
}

/// A key: 1 to [`MAX_KEY_BYTES`] bytes of UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

impl Key {
    /// Checks and wraps a key.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn try_new(value: impl Into<String>) -> Result<Self, InvalidKey> {
        let value = value.into();
        match value.len() {
            0 => Err(InvalidKey::Empty),
            n if n > MAX_KEY_BYTES => Err(InvalidKey::TooLong(n)),
            _ => Ok(Self(value)),
        }
    }

    /// The text of the key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text of the key, by value.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Key {
    type Error = InvalidKey;
    fn try_from(value: String) -> Result<Self, InvalidKey> {
        Self::try_new(value)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}
