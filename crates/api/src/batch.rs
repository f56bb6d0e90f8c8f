//! `POST /cache/_batch`: many operations on the cache in one request, as JSON.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use crate::cache::{Encoding, Entry};
use crate::{Key, Problem};

/// Body of `POST /cache/_batch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// At most 1,000 operations; each key's operations are applied in order.
    pub ops: Vec<BatchOp>,
}

/// One operation of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "op", rename_all = "lowercase", try_from = "Written")]
pub enum BatchOp {
    /// Read a key.
    Get {
        /// The key.
        key: Key,
        /// Namespace, in a batch of all of them (`ns=*`).
        #[serde(skip_serializing_if = "Option::is_none")]
        ns: Option<String>,
    },
    /// Write a key.
    Put {
        /// The key.
        key: Key,
        /// Namespace, in a batch of all of them (`ns=*`).
        #[serde(skip_serializing_if = "Option::is_none")]
        ns: Option<String>,
        /// The value as text, or base64 when `encoding` says so.
        value: String,
        /// How `value` is written.
        #[serde(skip_serializing_if = "Option::is_none")]
        encoding: Option<Encoding>,
        /// Seconds to live.
        #[serde(skip_serializing_if = "Option::is_none")]
        ttl: Option<u64>,
        /// Seconds for which it is still served after that, as stale.
        #[serde(skip_serializing_if = "Option::is_none")]
        stale: Option<u64>,
    },
    /// Remove a key.
    Delete {
        /// The key.
        key: Key,
        /// Namespace, in a batch of all of them (`ns=*`).
        #[serde(skip_serializing_if = "Option::is_none")]
        ns: Option<String>,
    },
    /// Give what a key holds another life time.
    Touch {
        /// The key.
        key: Key,
        /// Namespace, in a batch of all of them (`ns=*`).
        #[serde(skip_serializing_if = "Option::is_none")]
        ns: Option<String>,
        /// Seconds to live from now on.
        ttl: u64,
        /// Seconds for which it is still served after that, as stale.
        #[serde(skip_serializing_if = "Option::is_none")]
        stale: Option<u64>,
    },
    /// Add to the integer a key holds; an absent one is 0.
    Incr {
        /// The key.
        key: Key,
        /// Namespace, in a batch of all of them (`ns=*`).
        #[serde(skip_serializing_if = "Option::is_none")]
        ns: Option<String>,
        /// How much; may be negative.
        by: i64,
    },
}

/// An operation as it is written: read in one pass, where serde would keep the members of a tagged enum aside until it has
/// seen the tag.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    op: Name,
    key: Key,
    #[serde(default)]
    ns: Option<String>,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    encoding: Option<Encoding>,
    #[serde(default)]
    ttl: Option<u64>,
    #[serde(default)]
    stale: Option<u64>,
    #[serde(default)]
    by: Option<i64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    Get,
    Put,
    Delete,
    Touch,
    Incr,
}

/// An operation with members that do not go with it, or without one that it needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum WrongMembers {
    #[error("{op} takes no {member}; it takes {takes}")]
    Superfluous {
        op: &'static str,
        member: &'static str,
        takes: &'static str,
    },
    #[error("{op} needs {member}")]
    Missing { op: &'static str, member: &'static str },
}

impl Name {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Delete => "delete",
            Self::Touch => "touch",
            Self::Incr => "incr",
        }
    }

    /// Members besides `op`, in words.
    const fn takes(self) -> &'static str {
        match self {
            Self::Get | Self::Delete => "key and ns",
            Self::Put => "key, ns, value, encoding, ttl and stale",
            Self::Touch => "key, ns, ttl and stale",
            Self::Incr => "key, ns and by",
        }
    }
}

impl TryFrom<Written> for BatchOp {
    type Error = WrongMembers;

    fn try_from(written: Written) -> Result<Self, WrongMembers> {
        let name = written.op;
        let op = name.as_str();
        let refuse = |there: bool, member| match there {
            true => Err(WrongMembers::Superfluous {
                op,
                member,
                takes: name.takes(),
            }),
            false => Ok(()),
        };
        let missing = |member| WrongMembers::Missing { op, member };
        let Written {
            key,
            ns,
            value,
            encoding,
            ttl,
            stale,
            by,
            ..
        } = written;
        if !matches!(name, Name::Put) {
            refuse(value.is_some(), "value")?;
            refuse(encoding.is_some(), "encoding")?;
        }
        if !matches!(name, Name::Put | Name::Touch) {
            refuse(ttl.is_some(), "ttl")?;
            refuse(stale.is_some(), "stale")?;
        }
        if !matches!(name, Name::Incr) {
            refuse(by.is_some(), "by")?;
        }
        Ok(match name {
            Name::Get => Self::Get { key, ns },
            Name::Delete => Self::Delete { key, ns },
            Name::Put => Self::Put {
                key,
                ns,
                value: value.ok_or_else(|| missing("value"))?,
                encoding,
                ttl,
                stale,
            },
            Name::Touch => Self::Touch {
                key,
                ns,
                ttl: ttl.ok_or_else(|| missing("ttl"))?,
                stale,
            },
            Name::Incr => Self::Incr {
                key,
                ns,
                by: by.unwrap_or(1),
            },
        })
    }
}

/// Answer of `POST /cache/_batch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchResponse {
    /// In the order of the operations.
    pub results: Vec<BatchResult>,
}

/// Result of one operation of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct BatchResult {
    /// HTTP status the operation would have had alone.
    pub status: u16,
    /// The entry, when there is one to show; after `incr` its value is the new number.
    #[serde(flatten, default)]
    pub entry: Option<Entry>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<Problem>,
}

/// Written by hand: serde puts flattened members into a map first, which costs more than all the rest of a batch's answer.
impl Serialize for BatchResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("status", &self.status)?;
        if let Some(entry) = &self.entry {
            members.serialize_entry("key", &entry.key)?;
            if let Some(value) = &entry.value {
                members.serialize_entry("value", value)?;
            }
            if let Some(encoding) = &entry.encoding {
                members.serialize_entry("encoding", encoding)?;
            }
            members.serialize_entry("version", &entry.version)?;
            members.serialize_entry("ttl", &entry.ttl)?;
            members.serialize_entry("node", &entry.node)?;
        }
        if let Some(error) = &self.error {
            members.serialize_entry("error", error)?;
        }
        members.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_shows_the_entry_as_if_it_were_part_of_it() {
        let entry = Entry {
            key: "k".to_owned(),
            value: Some("v".to_owned()),
            encoding: None,
            version: 7,
            ttl: None,
            node: "auxiliary-1".to_owned(),
        };
        let result = BatchResult {
            status: 200,
            entry: Some(entry),
            error: None,
        };
        let json = serde_json::to_string(&result).unwrap();
        assert_eq!(
            json,
            r#"{"status":200,"key":"k","value":"v","version":7,"ttl":null,"node":"auxiliary-1"}"#
        );
        assert_eq!(serde_json::from_str::<BatchResult>(&json).unwrap(), result);
        let failed = BatchResult {
            status: 404,
            entry: None,
            error: None,
        };
        assert_eq!(serde_json::to_string(&failed).unwrap(), r#"{"status":404}"#);
    }

    fn read(json: &str) -> Result<BatchOp, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_is_read_again() {
        let key = || Key::try_new("k").unwrap();
        let ns = || Some("n".to_owned());
        let ops = [
            BatchOp::Get { key: key(), ns: ns() },
            BatchOp::Put {
                key: key(),
                ns: None,
                value: "AAE=".to_owned(),
                encoding: Some(Encoding::Base64),
                ttl: Some(60),
                stale: Some(5),
            },
            BatchOp::Delete { key: key(), ns: None },
            BatchOp::Touch {
                key: key(),
                ns: ns(),
                ttl: 7,
                stale: None,
            },
            BatchOp::Incr {
                key: key(),
                ns: None,
                by: -3,
            },
        ];
        for op in ops {
            assert_eq!(read(&serde_json::to_string(&op).unwrap()), Ok(op));
        }
        assert_eq!(
            read(r#"{"key":"k","op":"incr"}"#).map(|op| matches!(op, BatchOp::Incr { by: 1, .. })),
            Ok(true)
        );
    }

    #[test]
    fn members_that_do_not_belong_to_an_operation_are_refused() {
        for (wrong, said) in [
            (r#"{"op":"get","key":"k","value":"v"}"#, "get takes no value"),
            (r#"{"op":"delete","key":"k","ttl":1}"#, "delete takes no ttl"),
            (r#"{"op":"put","key":"k","value":"v","by":1}"#, "put takes no by"),
            (r#"{"op":"put","key":"k"}"#, "put needs value"),
            (r#"{"op":"touch","key":"k"}"#, "touch needs ttl"),
            (r#"{"op":"frobnicate","key":"k"}"#, "unknown variant"),
            (r#"{"op":"get","key":"k","bogus":1}"#, "unknown field"),
            (r#"{"op":"get","key":""}"#, "the key is empty"),
            (r#"{"op":"get"}"#, "missing field"),
        ] {
            let refused = read(wrong).expect_err(wrong);
            assert!(refused.contains(said), "{wrong}: {refused}");
        }
    }
}
