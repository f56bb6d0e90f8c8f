//! What clients ask, and what they are told.

use serde::{Deserialize, Serialize};

use super::Value;

/// A request. `revision` of a conditional one is what was sent as condition; `expected` is what the client knew the key to
/// hold at that revision, which says the same, since values are unique.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "f", rename_all = "lowercase")]
pub enum Op {
    /// Read a key.
    Read {
        /// Which.
        key: String,
        /// Whether the answer may be old.
        #[serde(default, skip_serializing_if = "is_false")]
        stale: bool,
    },
    /// Write a key, whatever it holds.
    Write {
        /// Which.
        key: String,
        /// What.
        value: Value,
    },
    /// Remove a key.
    Delete {
        /// Which.
        key: String,
    },
    /// Write a key if it holds what is expected (`If-Match`); nothing is expected of an absent one (`If-None-Match: *`).
    Cas {
        /// Which.
        key: String,
        /// What it must hold.
        expected: Option<Value>,
        /// What it is to hold.
        value: Value,
        /// The condition as sent; 0 for absence.
        revision: u64,
    },
    /// Append to a list if it is as expected: a compare-and-swap.
    Append {
        /// Which.
        key: String,
        /// The list it must be; the empty list is an absent key.
        onto: Vec<u64>,
        /// What is appended.
        element: u64,
        /// The condition as sent; 0 for absence.
        revision: u64,
    },
    /// Several keys at once.
    Txn {
        /// All must hold.
        compare: Vec<Compare>,
        /// Steps when they do.
        then: Vec<Step>,
        /// Steps when they do not.
        #[serde(rename = "else")]
        otherwise: Vec<Step>,
    },
}

/// A condition of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compare {
    /// Of which key.
    pub key: String,
    /// What it must hold; nothing means that it is absent.
    pub expected: Option<Value>,
    /// Sent as a compare of revisions when it is not 0, else of values.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u64,
}

/// A step of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Step {
    /// Read a key.
    Get {
        /// Which.
        key: String,
    },
    /// Write a key.
    Put {
        /// Which.
        key: String,
        /// What.
        value: Value,
    },
    /// Remove a key.
    Delete {
        /// Which.
        key: String,
    },
}

/// What the client was told. Revisions are 0 where the answer has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "told", rename_all = "lowercase")]
pub enum Answer {
    /// Of a read.
    Read {
        /// What the key holds, if it is there.
        value: Option<Value>,
        /// Revision that wrote it.
        revision: u64,
    },
    /// Of a write.
    Written {
        /// Revision of the write.
        revision: u64,
    },
    /// Of a delete.
    Deleted {
        /// Whether the key was there.
        existed: bool,
    },
    /// Of a compare-and-swap or an append.
    Swapped {
        /// Whether the condition held, and so whether it was written.
        done: bool,
        /// Revision of the write.
        revision: u64,
    },
    /// Of a transaction.
    Txn {
        /// Whether the compares held.
        succeeded: bool,
        /// Revision of the store afterwards.
        revision: u64,
        /// One per step of the branch taken.
        steps: Vec<StepAnswer>,
    },
}

/// What a step of a transaction was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepAnswer {
    /// What a get read, and the revision that wrote it.
    Got(Option<(Value, u64)>),
    /// Written.
    Put,
    /// Whether there was something to remove.
    Deleted(bool),
}

impl Op {
    /// A linearizable read.
    #[must_use]
    pub fn read(key: &str) -> Self {
        let key = key.to_owned();
        Self::Read { key, stale: false }
    }

    /// A write without condition.
    #[must_use]
    pub fn write(key: &str, value: impl Into<Value>) -> Self {
        let (key, value) = (key.to_owned(), value.into());
        Self::Write { key, value }
    }

    /// Every key it is about, some of them perhaps twice.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        match self {
            Self::Read { key, .. }
            | Self::Write { key, .. }
            | Self::Delete { key }
            | Self::Cas { key, .. }
            | Self::Append { key, .. } => vec![key],
            Self::Txn {
                compare,
                then,
                otherwise,
            } => {
                let steps = then.iter().chain(otherwise).map(Step::key);
                compare.iter().map(|compare| compare.key.as_str()).chain(steps).collect()
            }
        }
    }

    /// Whether it is a read that may be answered with what is old.
    #[must_use]
    pub const fn is_stale_read(&self) -> bool {
        matches!(self, Self::Read { stale: true, .. })
    }

    /// What it makes keys hold when it is executed; of a transaction, in either branch.
    #[must_use]
    pub fn produces(&self) -> Vec<(&str, Value)> {
        match self {
            Self::Read { .. } | Self::Delete { .. } => Vec::new(),
            Self::Write { key, value } | Self::Cas { key, value, .. } => vec![(key, value.clone())],
            Self::Append { key, onto, element, .. } => vec![(key, appended(onto, *element))],
            Self::Txn { then, otherwise, .. } => {
                let puts = then.iter().chain(otherwise).filter_map(|step| match step {
                    Step::Put { key, value } => Some((key.as_str(), value.clone())),
                    Step::Get { .. } | Step::Delete { .. } => None,
                });
                puts.collect()
            }
        }
    }

    /// Whether it may remove a key.
    #[must_use]
    pub fn deletes(&self) -> bool {
        match self {
            Self::Delete { .. } => true,
            Self::Txn { then, otherwise, .. } => then.iter().chain(otherwise).any(|step| matches!(step, Step::Delete { .. })),
            _ => false,
        }
    }

    /// The steps that an answer says were taken, each with what it was told.
    #[must_use]
    pub fn taken<'a>(&'a self, answer: &'a Answer) -> Vec<(&'a Step, &'a StepAnswer)> {
        match (self, answer) {
            (Self::Txn { then, otherwise, .. }, Answer::Txn { succeeded, steps, .. }) => {
                let branch = if *succeeded { then } else { otherwise };
                branch.iter().zip(steps).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Step {
    /// The key it is about.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Get { key } | Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }
}

impl Answer {
    /// Revision of the store at which the operation changed something; 0 when it did not, or the answer does not say.
    #[must_use]
    pub fn write_revision(&self, op: &Op) -> u64 {
        match self {
            Self::Written { revision } | Self::Swapped { done: true, revision } => *revision,
            Self::Txn { revision, .. } => {
                let writes = |(step, told): &(&Step, &StepAnswer)| match step {
                    Step::Get { .. } => false,
                    Step::Put { .. } => true,
                    Step::Delete { .. } => **told == StepAnswer::Deleted(true),
                };
                if op.taken(self).iter().any(writes) { *revision } else { 0 }
            }
            Self::Read { .. } | Self::Deleted { .. } | Self::Swapped { done: false, .. } => 0,
        }
    }
}

/// A list with one more element.
#[must_use]
pub(crate) fn appended(onto: &[u64], element: u64) -> Value {
    Value::List(onto.iter().copied().chain([element]).collect())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}
