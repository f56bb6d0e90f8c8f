//! What masters say to each other (postcard). The version comes first in every request, so that two releases that do not
//! understand each other can say so; change it with any of these types.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::format::{Position, StoredEntry, StoredVote};
use super::super::initial::InitialMember;
use super::super::members::{LeaderView, Member};
use super::super::snapshot::SnapshotHead;
use crate::error::Error;
use crate::state::{Command, Outcome};
use crate::types::LeaseId;

/// Version of these types.
pub(crate) const VERSION: u16 = 1;

/// A question and who asks it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) version: u16,
    /// The sender's cluster; none while it has no place in one.
    pub(crate) cluster: Option<Uuid>,
    /// The sender's raft id; 0 while it has none.
    pub(crate) from: u64,
    /// Id of its data directory.
    pub(crate) store: Uuid,
    /// Where it is reached.
    pub(crate) address: String,
    /// Raft id of whom it means; 0 when it does not know.
    pub(crate) to: u64,
    pub(crate) call: Call,
}

/// What is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Call {
    /// Who are you, and do you know me?
    Hello(Hello),
    Append(Append),
    Vote(Ballot),
    PreVote(Ballot),
    Transfer(Transfer),
    /// Head of a snapshot; the snapshot follows as a stream.
    Snapshot(SnapshotOffer),
    /// How far must a reader have applied the log to see every write acknowledged before?
    ReadIndex,
    /// A call of the store, for the raft leader, which has so many milliseconds left for it.
    Store {
        left_ms: u64,
        op: StoreOp,
    },
    /// A call about the members, for the raft leader.
    Members {
        left_ms: u64,
        op: MembersOp,
    },
}

/// A node looks for its place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) name: String,
    /// Whom it would begin a cluster with.
    pub(crate) initial: Vec<InitialMember>,
}

/// Entries of the log, or none: a heartbeat.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Append {
    pub(crate) vote: StoredVote,
    pub(crate) previous: Option<Position>,
    pub(crate) entries: Vec<StoredEntry>,
    pub(crate) committed: Option<Position>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ballot {
    pub(crate) vote: StoredVote,
    pub(crate) last: Option<Position>,
    pub(crate) transfer: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Transfer {
    pub(crate) from: StoredVote,
    pub(crate) to: u64,
    pub(crate) last: Option<Position>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SnapshotOffer {
    pub(crate) vote: StoredVote,
    pub(crate) head: SnapshotHead,
}

/// What only the raft leader can do with the store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum StoreOp {
    Propose(Arc<Command>),
    KeepAlive(LeaseId),
}

/// What the raft leader does with the members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MembersOp {
    List,
    Add { name: String, address: String },
    Remove { name: String },
    Transfer { to: Option<String> },
}

/// An answer and who gives it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) id: u64,
    pub(crate) store: Uuid,
    /// Its disk is full: it takes no entries for now.
    pub(crate) full: bool,
    /// The sender is not among the members it knows.
    pub(crate) disowned: bool,
    pub(crate) outcome: Result<Reply, Refusal>,
}

/// What was answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Reply {
    Hello(Welcome),
    Append(Appended),
    Vote(Voted),
    /// Whether the message was of use.
    Transfer(bool),
    Snapshot(StoredVote),
    ReadIndex(u64),
    Store(Result<StoreReply, Error>),
    Members(Result<MembersReply, Error>),
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum Refusal {
    /// Somebody else leads, or nobody.
    #[error("it is not the raft leader")]
    NotLeader,
    /// Try again.
    #[error("{0}")]
    NotReady(String),
    /// The two do not belong together; somebody must act.
    #[error("{0}")]
    Stranger(String),
}

/// The answer to a [`Hello`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Welcome {
    /// No cluster yet; whom this node would begin one with.
    New { initial: Vec<InitialMember> },
    /// A member of a cluster, and what it knows of the one that asks.
    Member {
        cluster: Uuid,
        place: AskersPlace,
        /// The entry of the log that names these members: of two answers, the one with the later entry counts.
        as_of: Option<Position>,
        /// All members: id, name, address.
        members: Vec<(u64, InitialMember)>,
    },
}

/// A node's place, as a member of the cluster sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AskersPlace {
    /// Nobody of that name.
    Unknown,
    /// A member, under this id.
    Member { id: u64 },
    /// A member whose data directory is another one.
    Taken,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Appended {
    Success,
    Partial(Option<Position>),
    Conflict,
    HigherVote(StoredVote),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Voted {
    pub(crate) vote: StoredVote,
    pub(crate) granted: bool,
    pub(crate) last: Option<Position>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum StoreReply {
    Done(Outcome),
    Kept(std::time::Duration),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum MembersReply {
    View(LeaderView),
    Member(Member),
    Removed,
    Leader(String),
}

/// What kinds of calls are called in metrics, by their numbers.
const NAMES: [&str; 9] = [
    "hello",
    "append",
    "vote",
    "pre-vote",
    "transfer",
    "snapshot",
    "read-index",
    "store",
    "members",
];

impl Call {
    /// Number of its kind: says what a frame is about, to whoever counts them.
    pub(crate) const fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => 0,
            Self::Append(_) => 1,
            Self::Vote(_) => 2,
            Self::PreVote(_) => 3,
            Self::Transfer(_) => 4,
            Self::Snapshot(_) => 5,
            Self::ReadIndex => 6,
            Self::Store { .. } => 7,
            Self::Members { .. } => 8,
        }
    }

    /// What its kind is called.
    #[cfg(test)]
    pub(crate) fn name(&self) -> &'static str {
        name_of(self.kind())
    }
}

/// What calls of a kind are called.
pub(crate) fn name_of(kind: u8) -> &'static str {
    NAMES.get(usize::from(kind)).copied().unwrap_or("other")
}

/// Room for a message without entries.
const SMALL: usize = 512;

impl Request {
    /// Its bytes. Room is made for them at once: a buffer that grows to a batch of entries is copied again and again.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, String> {
        let payload = match &self.call {
            Call::Append(append) => append.entries.iter().map(StoredEntry::weight).sum(),
            Call::Store {
                op: StoreOp::Propose(command),
                ..
            } => command.bytes(),
            _ => 0,
        };
        encode(self, SMALL + payload)
    }
}

impl Answer {
    /// Its bytes.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, String> {
        encode(self, SMALL)
    }
}

fn encode<T: Serialize>(message: &T, room: usize) -> Result<Vec<u8>, String> {
    postcard::to_extend(message, Vec::with_capacity(room)).map_err(|error| error.to_string())
}

/// A request from its bytes; says so when another version has written it.
pub(crate) fn decode_request(bytes: &[u8]) -> Result<Request, String> {
    let (version, _): (u16, _) = postcard::take_from_bytes(bytes).map_err(|error| error.to_string())?;
    if version != VERSION {
        return Err(format!(
            "it is of version {version} of what masters say to each other, this master knows {VERSION}; run one release on all"
        ));
    }
    postcard::from_bytes(bytes).map_err(|error| error.to_string())
}

/// An answer from its bytes.
pub(crate) fn decode_answer(bytes: &[u8]) -> Result<Answer, String> {
    postcard::from_bytes(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            version: VERSION,
            cluster: None,
            from: 7,
            store: Uuid::from_u128(1),
            address: "m:9000".to_owned(),
            to: 9,
            call: Call::ReadIndex,
        }
    }

    #[test]
    fn requests_survive_the_way() {
        let bytes = request().encode().unwrap();
        let read = decode_request(&bytes).unwrap();
        assert_eq!((read.from, read.to, read.call.name()), (7, 9, "read-index"));
        assert!(decode_request(&bytes[..bytes.len() - 1]).is_err());
    }

    /// Two releases on one wire: what changes these bytes changes [`VERSION`] too.
    #[test]
    fn the_wire_is_frozen() {
        let position = Position { term: 2, index: 3 };
        let vote = StoredVote::from(&crate::raft::types::Vote::new_committed(2, 7));
        let append = Append {
            vote,
            previous: Some(position),
            entries: Vec::new(),
            committed: Some(position),
        };
        let ballot = Ballot {
            vote,
            last: Some(position),
            transfer: true,
        };
        let op = || StoreOp::Propose(Arc::new(Command::Revoke { lease: LeaseId(5) }));
        let calls = [
            Call::Append(append),
            Call::Vote(ballot.clone()),
            Call::PreVote(ballot),
            Call::ReadIndex,
            Call::Store { left_ms: 5, op: op() },
            Call::Members {
                left_ms: 5,
                op: MembersOp::List,
            },
        ];
        let outcomes = [
            Ok(Reply::Append(Appended::Partial(Some(position)))),
            Ok(Reply::ReadIndex(9)),
            Ok(Reply::Store(Err(Error::LeaseNotFound))),
            Err(Refusal::NotLeader),
            Err(Refusal::Stranger("s".to_owned())),
        ];
        let mut bytes = Vec::new();
        for call in calls {
            bytes.extend(Request { call, ..request() }.encode().unwrap());
        }
        for outcome in outcomes {
            let answer = Answer {
                id: 9,
                store: Uuid::from_u128(2),
                full: false,
                disowned: true,
                outcome,
            };
            bytes.extend(answer.encode().unwrap());
        }
        assert_eq!((VERSION, xxhash_rust::xxh3::xxh3_64(&bytes)), (1, 0x7d55_0d6c_64a9_9cf1));
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = request().encode().unwrap();
        bytes[0] = 99;
        let refused = decode_request(&bytes).unwrap_err();
        assert!(refused.contains("version 99") && refused.contains("one release"), "{refused}");
    }
}
