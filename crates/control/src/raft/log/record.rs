//! What the log's files hold: entries, and the few facts about them that must survive a restart.

use serde::{Deserialize, Serialize};

use super::super::format::{Position, StoredEntry, StoredVote};

/// Version of the files' format.
pub(super) const FORMAT: u32 = 2;

/// One fact. The facts of a frame become durable together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Record {
    /// First in each segment; repeats what older segments said, so that they can be removed.
    Head(Head),
    /// An entry; its index is one more than the last one's.
    Entry(StoredEntry),
    /// The node's vote.
    Vote(StoredVote),
    /// Entries up to here are known to be committed.
    Committed(Position),
    /// Entries after this one (all, for none) are gone: another leader's log replaces them.
    TruncatedAfter(Option<Position>),
    /// Entries up to this one are gone: a snapshot covers them.
    PurgedUpTo(Position),
}

/// What a segment begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) format: u32,
    pub(super) node_id: u64,
    pub(super) vote: Option<StoredVote>,
    pub(super) committed: Option<Position>,
    pub(super) purged: Option<Position>,
}

/// Appends a record to a frame's payload.
pub(super) fn encode(record: &Record, payload: &mut Vec<u8>) -> Result<(), postcard::Error> {
    postcard::to_io(record, payload).map(|_| ())
}

/// The records of a frame's payload.
pub(super) fn decode(mut payload: &[u8]) -> Result<Vec<Record>, postcard::Error> {
    let mut records = Vec::new();
    while !payload.is_empty() {
        let (record, rest) = postcard::take_from_bytes(payload)?;
        records.push(record);
        payload = rest;
    }
    Ok(records)
}
