//! What a key holds.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A number, unique among all that are written in a run so that it names its write; or a list of such.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Of a register.
    Int(u64),
    /// Of a list that is appended to.
    List(Vec<u64>),
    /// What no client of ours wrote, or not in one piece.
    Foreign(String),
}

impl Value {
    /// As it is stored: JSON.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.to_string().into()
    }

    /// What is stored.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_else(|_| Self::Foreign(String::from_utf8_lossy(bytes).into_owned()))
    }

    /// What is stored, seen as text.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self::from_bytes(text.as_bytes())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(u64::to_string).collect();
                write!(f, "[{}]", items.join(","))
            }
            Self::Foreign(text) => write!(f, "{text:?}"),
        }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(number)
    }
}
