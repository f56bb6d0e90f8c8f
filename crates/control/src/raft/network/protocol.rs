//! Between our messages and openraft's.

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest, VoteResponse};

use super::super::format::{Position, StoredEntry, StoredVote};
use super::super::types::{Entry, LogId, TypeConfig, Vote};
use super::message::{Append, Appended, Ballot, Transfer, Voted};

impl From<&AppendEntriesRequest<TypeConfig>> for Append {
    fn from(request: &AppendEntriesRequest<TypeConfig>) -> Self {
        Self {
            vote: (&request.vote).into(),
            previous: request.prev_log_id.map(Position::from),
            entries: request.entries.iter().map(StoredEntry::from).collect(),
            committed: request.leader_commit.map(Position::from),
        }
    }
}

impl TryFrom<Append> for AppendEntriesRequest<TypeConfig> {
    type Error = String;

    fn try_from(append: Append) -> Result<Self, String> {
        Ok(Self {
            vote: append.vote.into(),
            prev_log_id: append.previous.map(LogId::from),
            entries: append.entries.into_iter().map(Entry::try_from).collect::<Result<_, _>>()?,
            leader_commit: append.committed.map(LogId::from),
        })
    }
}

impl From<&AppendEntriesResponse<TypeConfig>> for Appended {
    fn from(response: &AppendEntriesResponse<TypeConfig>) -> Self {
        match response {
            AppendEntriesResponse::Success => Self::Success,
            AppendEntriesResponse::PartialSuccess(upto) => Self::Partial(upto.map(Position::from)),
            AppendEntriesResponse::Conflict => Self::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<Appended> for AppendEntriesResponse<TypeConfig> {
    fn from(appended: Appended) -> Self {
        match appended {
            Appended::Success => Self::Success,
            Appended::Partial(upto) => Self::PartialSuccess(upto.map(LogId::from)),
            Appended::Conflict => Self::Conflict,
            Appended::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<&VoteRequest<TypeConfig>> for Ballot {
    fn from(request: &VoteRequest<TypeConfig>) -> Self {
        Self {
            vote: (&request.vote).into(),
            last: request.last_log_id.map(Position::from),
            transfer: request.leadership_transfer,
        }
    }
}

impl From<Ballot> for VoteRequest<TypeConfig> {
    fn from(ballot: Ballot) -> Self {
        Self {
            vote: ballot.vote.into(),
            last_log_id: ballot.last.map(LogId::from),
            leadership_transfer: ballot.transfer,
        }
    }
}

impl From<&VoteResponse<TypeConfig>> for Voted {
    fn from(response: &VoteResponse<TypeConfig>) -> Self {
        Self {
            vote: (&response.vote).into(),
            granted: response.vote_granted,
            last: response.last_log_id.map(Position::from),
        }
    }
}

impl From<Voted> for VoteResponse<TypeConfig> {
    fn from(voted: Voted) -> Self {
        Self::new(Vote::from(voted.vote), voted.last.map(LogId::from), voted.granted)
    }
}

impl From<&TransferLeaderRequest<TypeConfig>> for Transfer {
    fn from(request: &TransferLeaderRequest<TypeConfig>) -> Self {
        Self {
            from: StoredVote::from(request.from_leader()),
            to: *request.to_node_id(),
            last: request.last_log_id().copied().map(Position::from),
        }
    }
}

impl From<Transfer> for TransferLeaderRequest<TypeConfig> {
    fn from(transfer: Transfer) -> Self {
        Self::new(transfer.from.into(), transfer.to, transfer.last.map(LogId::from))
    }
}
