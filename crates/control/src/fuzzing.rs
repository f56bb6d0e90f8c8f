//! The readers of the log, of snapshots and of what masters send, for fuzzers: each takes any bytes, and asserts what must
//! stay true of them.

use bytes::BytesMut;

use crate::raft::{self, InitialMember};
use crate::remote::wire;

/// Any bytes as the file of the log, and as the payload of a frame in it whose checksum matches.
pub fn raft_log(bytes: &[u8]) {
    raft::fuzzed::log(bytes);
}

/// Any bytes as a snapshot, and as the payloads of frames in one whose checksums match.
pub fn raft_snapshot(bytes: &[u8]) {
    raft::fuzzed::snapshot(bytes);
}

/// Any bytes as a request or an answer of a master.
pub fn raft_message(bytes: &[u8]) {
    raft::fuzzed::message(bytes);
}

/// Any bytes as what a node that keeps no store is told by one that does.
pub fn remote_watch(bytes: &[u8]) {
    let mut buffer = BytesMut::from(bytes);
    while let Ok(Some(frame)) = wire::take_frame(&mut buffer) {
        let mut again = BytesMut::from(&wire::encode_frame(&frame).unwrap_or_else(|error| panic!("{error}"))[..]);
        assert_eq!(wire::take_frame(&mut again), Ok(Some(frame)));
    }
}

/// Any text as `RAFT_INITIAL_CLUSTER`: what is accepted reads the same when it is written again.
pub fn initial_cluster(text: &str) {
    let Ok(members) = InitialMember::parse_list(text) else {
        return;
    };
    let again: Vec<String> = members
        .iter()
        .map(|member| format!("{}={}", member.name, member.address))
        .collect();
    assert_eq!(InitialMember::parse_list(&again.join(",")), Ok(members));
}
