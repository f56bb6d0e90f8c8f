//! What fuzzers try: each function takes any bytes and panics when something is wrong.
//!
//! Used twice: by the fuzzers of this crate, and by a test of the workspace that replays the corpus. What a parser keeps to itself is
//! behind the feature `fuzzing` of its crate.

use std::sync::LazyLock;

use access::{Action, Expected, Grant, KEY_PREFIX, KeyRecord, Pattern, Presented, Resource, Signers};
use api::batch::BatchRequest;
use api::cache::{
    BatchFrame, Packing, ReplicaAnswer, ReplicaFrame, ReplyFrame, SyncDigests, SyncDigestsRequest, SyncPage, SyncPageRequest,
};
use api::job::{JobSpec, TableSpec};
use api::member::{Member, RingRecord};
use api::{BootId, JobId, Key, NodeId, Problem};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned};
use serde_json::{Value, json};
use settings::{ByteSize, HumanDuration, List};

/// The name of a corpus, and what tries it.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("addresses", addresses),
    ("api_json", api_json),
    ("backup_file", backup_file),
    ("backup_parts", backup_parts),
    ("blob_trailer", blob_trailer),
    ("cache_value", cache_value),
    ("cache_wire", cache_wire),
    ("credentials", credentials),
    ("datasets", datasets),
    ("frames", frames),
    ("grants", grants),
    ("lifetimes", lifetimes),
    ("names", names),
    ("raft_log", raft_log),
    ("raft_message", raft_message),
    ("raft_snapshot", raft_snapshot),
    ("remote_watch", remote_watch),
    ("requests", requests),
    ("ring", ring),
    ("settings", settings_values),
];

/// Who signs the tokens that fuzzers make up.
static SIGNER: LazyLock<(EncodingKey, Signers)> = LazyLock::new(|| {
    // A key pair out of a seed (RFC 8410).
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend([7; 32]);
    let key = EncodingKey::from_ed_der(&der);
    let public = Jwk::from_encoding_key(&key, Algorithm::EdDSA).expect("it is a key");
    let mut public = serde_json::to_value(public).expect("it has a public part");
    public["kid"] = "fuzz".into();
    let signers = Signers::parse(json!({ "keys": [public] }).to_string().as_bytes()).expect("its set has a key");
    (key, signers)
});

/// Proxies that are trusted, and what they say of whom they ask for.
pub fn addresses(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    master::fuzzing::addresses(text);
}

/// JSON that clients and other nodes send.
pub fn api_json(data: &[u8]) {
    same_json::<BatchRequest>(data);
    same_json::<JobSpec>(data);
    same_json::<TableSpec>(data);
    same_json::<Member>(data);
    same_json::<Problem>(data);
}

/// The file of a backup.
pub fn backup_file(data: &[u8]) {
    store::fuzzing::backup_file(data);
}

/// Parts of a backup, their checksums right.
pub fn backup_parts(data: &[u8]) {
    store::fuzzing::backup_parts(data);
}

/// What stands behind the content of a blob.
pub fn blob_trailer(data: &[u8]) {
    store::fuzzing::blob_trailer(data);
}

/// A value as owners keep it: nothing unpacks to more than it may.
pub fn cache_value(data: &[u8]) {
    /// Largest value.
    const LIMIT: usize = 1 << 20;
    for packing in [Packing::Plain, Packing::Lz4] {
        cache::fuzzing::unpack(data, packing, LIMIT);
    }
    cache::fuzzing::pack_and_unpack(data);
}

/// What masters and auxiliaries say to each other.
pub fn cache_wire(data: &[u8]) {
    same_postcard::<BatchFrame<'_>>(data);
    same_postcard::<ReplyFrame<'_>>(data);
    same_postcard::<ReplicaFrame<'_>>(data);
    same_postcard::<ReplicaAnswer>(data);
    same_postcard::<SyncDigestsRequest>(data);
    same_postcard::<SyncDigests>(data);
    same_postcard::<SyncPageRequest>(data);
    same_postcard::<SyncPage<'_>>(data);
}

/// What callers show: keys, and tokens, their signatures right; and what both are known by.
pub fn credentials(data: &[u8]) {
    let (key, signers) = &*SIGNER;
    let expected = Expected {
        audience: "fuzz".to_owned(),
        issuer: None,
    };
    same_json::<KeyRecord>(data);
    if let Ok(signers) = Signers::parse(data) {
        let ids = signers.ids();
        assert!(!ids.is_empty() && ids.iter().all(|id| !id.is_empty()), "{ids:?}");
    }
    if let Ok(claims) = serde_json::from_slice::<Value>(data) {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some("fuzz".to_owned());
        let token = jsonwebtoken::encode(&header, &claims, key).expect("it is JSON");
        if let Ok(found) = signers.verify(&token, &expected) {
            let caller = found.caller;
            for shown in [&caller.id, &caller.name] {
                assert!(!shown.contains(char::is_control) && shown.chars().count() <= 128, "{shown:?}");
            }
            let asked = claims.get("elasticore").and_then(Value::as_array).map_or(0, Vec::len);
            assert_eq!(caller.grants.len(), asked, "it has what the token says, and no more");
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(presented) = Presented::parse(text) {
        assert!(
            text.is_ascii() && text.starts_with(KEY_PREFIX) && text.len() == 64,
            "{text:?}"
        );
        assert!(text[KEY_PREFIX.len()..].starts_with(presented.id), "{text:?}");
        assert_eq!(presented.hash(), presented.hash());
    }
    assert!(
        signers.verify(text, &expected).is_err(),
        "nobody signed this, and it is accepted: {text:?}"
    );
}

/// Names of datasets in namespaces, and paths of files in them.
pub fn datasets(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    master::fuzzing::datasets(text);
}

/// The frames of a connection; the first byte says in what pieces they come.
pub fn frames(data: &[u8]) {
    transport::fuzzing::frames(data);
}

/// Grants and patterns of namespaces: what is read is shown, what is shown reads the same, and nothing is given that was not named.
pub fn grants(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(pattern) = text.parse::<Pattern>() {
        assert_eq!(pattern.to_string().parse(), Ok(pattern.clone()));
        match &pattern {
            Pattern::Exact(name) => assert!(pattern.matches(name) && !pattern.matches(&format!("{name}-"))),
            Pattern::Prefix(prefix) => assert!(pattern.matches(prefix) && !pattern.matches(""), "{text:?}"),
            Pattern::All => assert_eq!(text, "*"),
        }
    }
    let Ok(grant) = text.parse::<Grant>() else { return };
    assert_eq!(grant.to_string().parse(), Ok(grant.clone()));
    for resource in Resource::ALL {
        for action in Action::ALL {
            let everywhere = grant.allows_everywhere(resource, action);
            let somewhere = ["", "a", "team-a"].map(|namespace| grant.allows(resource, action, namespace));
            assert!(!everywhere || somewhere == [true; 3], "{text:?}");
            let named = text.contains(resource.as_str()) || text.ends_with('*') || text == "admin" || text == "operator";
            assert!(named || somewhere == [false; 3], "{text:?} gives {action} on {resource}");
        }
        let administers = grant.allows(resource, Action::Administer, "a");
        assert!(!administers || text.starts_with("admin"), "{text:?} administers {resource}");
    }
}

/// Times to live and points in time.
pub fn lifetimes(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    master::fuzzing::lifetimes(text);
}

/// Names: what is accepted is what was given, and harmless where it is used.
pub fn names(data: &[u8]) {
    transport::fuzzing::request_id(data);
    transport::fuzzing::traceparent(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    store::fuzzing::blob_name(text);
    control::fuzzing::initial_cluster(text);
    if let Ok(key) = Key::try_new(text) {
        assert_eq!(key.as_str(), text);
    }
    if let Ok(id) = text.parse::<NodeId>() {
        assert_eq!(id.as_str(), text);
        assert!(
            !text.contains(['/', '\\', '\0', '\n', ' ']) && text != ".." && text != ".",
            "{text:?}"
        );
    }
    if let Ok(id) = text.parse::<BootId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    if let Ok(id) = text.parse::<JobId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    let length = data.len() as u64;
    if let Ok(Some(range)) = blobs::holder::parse_range(text, length) {
        assert!(
            range.start < range.end && range.end <= length,
            "{text:?} of {length}: {range:?}"
        );
    }
}

/// The log of the control store.
pub fn raft_log(data: &[u8]) {
    control::fuzzing::raft_log(data);
}

/// What masters say to each other.
pub fn raft_message(data: &[u8]) {
    control::fuzzing::raft_message(data);
}

/// Snapshots of the control store.
pub fn raft_snapshot(data: &[u8]) {
    control::fuzzing::raft_snapshot(data);
}

/// Watches of nodes that keep no control store.
pub fn remote_watch(data: &[u8]) {
    control::fuzzing::remote_watch(data);
}

/// Heads of requests: credentials, conditions, namespaces, waits, pages, labels.
pub fn requests(data: &[u8]) {
    master::fuzzing::head(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    master::fuzzing::query(text);
}

/// The record that says who owns what, and the ring made of it.
pub fn ring(data: &[u8]) {
    same_json::<RingRecord>(data);
    let Ok(record) = serde_json::from_slice::<RingRecord>(data) else {
        return;
    };
    for layout in [Some(&record.layout), record.previous.as_ref()].into_iter().flatten() {
        let placed = layout.members.iter().map(|member| hash_ring::Member {
            id: member.id.as_str().to_owned(),
            weight: member.weight,
            zone: member.zone.clone(),
        });
        let ring = hash_ring::Ring::new(placed, layout.virtual_nodes);
        let replicas = layout.replicas as usize;
        for hash in [0, 1, u64::MAX / 3, u64::MAX] {
            let owners = ring.owners(hash, replicas);
            let mut told: Vec<u32> = owners.iter().copied().collect();
            told.sort_unstable();
            told.dedup();
            assert_eq!(told.len(), owners.len(), "an owner is named twice");
            assert_eq!(owners.first().copied(), ring.owner(hash).filter(|_| replicas > 0));
        }
        let all: f64 = ring.shares().iter().sum();
        assert!(ring.is_empty() || (all - 1.0).abs() < 1e-6, "the shares sum to {all}");
    }
}

/// Durations, sizes and lists: what is read is shown, and what is shown reads the same.
pub fn settings_values(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(duration) = text.parse::<HumanDuration>() {
        assert_eq!(duration.to_string().parse(), Ok(duration));
    }
    if let Ok(size) = text.parse::<ByteSize>() {
        assert_eq!(size.to_string().parse(), Ok(size));
    }
    if let Ok(list) = text.parse::<List>() {
        assert_eq!(list.0.join(",").parse(), Ok(list));
    }
}

/// What reads as JSON is written as JSON that reads the same.
fn same_json<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(data) else {
        return;
    };
    let again = serde_json::to_vec(&value).expect("it was read");
    let reread = serde_json::from_slice::<T>(&again).expect("what was written can be read");
    assert_eq!(reread, value);
}

/// The same of postcard.
fn same_postcard<'a, T: Deserialize<'a> + Serialize>(data: &'a [u8]) {
    let Ok(value) = postcard::from_bytes::<T>(data) else { return };
    let again = postcard::to_stdvec(&value).expect("it was read");
    assert!(again.len() <= data.len(), "{} bytes became {}", data.len(), again.len());
}
