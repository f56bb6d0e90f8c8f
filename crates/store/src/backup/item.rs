//! Items inside a block; the module's documentation shows their bytes.

use api::cache::{Lifetime, Packing, ReplicaItem, ReplicaState};

use super::format::{Fields, put_bytes};

const DELETED: u8 = 0;
const LIVE: u8 = 1;

const PLAIN: u8 = 0;
const LZ4: u8 = 1;

/// Bytes that an item is made of, fields of fixed size aside.
pub(super) fn payload_bytes(item: &ReplicaItem<'_>) -> usize {
    let state = match item.state {
        ReplicaState::Live { value, content_type, .. } => value.len() + content_type.len(),
        ReplicaState::Deleted { .. } | ReplicaState::Evicted => 0,
    };
    item.namespace.len() + item.key.len() + state
}

/// Appends an item. What was evicted is nothing, and nothing is written for it.
pub(super) fn encode(item: &ReplicaItem<'_>, to: &mut Vec<u8>) {
    let begin = |to: &mut Vec<u8>, kind| {
        to.extend(item.version.to_le_bytes());
        put_bytes(to, item.namespace.as_bytes());
        put_bytes(to, item.key.as_bytes());
        to.push(kind);
    };
    match item.state {
        ReplicaState::Live {
            value,
            content_type,
            packing,
            lifetime,
            created,
        } => {
            begin(to, LIVE);
            to.push(match packing {
                Packing::Plain => PLAIN,
                Packing::Lz4 => LZ4,
            });
            to.push(u8::from(created));
            to.extend(lifetime.fresh_until_ms.to_le_bytes());
            to.extend(lifetime.expires_at_ms.to_le_bytes());
            put_bytes(to, content_type.as_bytes());
            put_bytes(to, value);
        }
        ReplicaState::Deleted { at_ms, existed } => {
            begin(to, DELETED);
            to.extend(at_ms.to_le_bytes());
            to.push(u8::from(existed));
        }
        ReplicaState::Evicted => {}
    }
}

/// Takes an item off a block; `None` when it is not one.
pub(super) fn decode<'a>(fields: &mut Fields<'a>) -> Option<ReplicaItem<'a>> {
    let version = fields.u64()?;
    let namespace = fields.text()?;
    let key = fields.text()?;
    let state = match fields.u8()? {
        DELETED => ReplicaState::Deleted {
            at_ms: fields.u64()?,
            existed: fields.flag()?,
        },
        LIVE => {
            let packing = match fields.u8()? {
                PLAIN => Packing::Plain,
                LZ4 => Packing::Lz4,
                _ => return None,
            };
            let created = fields.flag()?;
            let lifetime = Lifetime {
                fresh_until_ms: fields.u64()?,
                expires_at_ms: fields.u64()?,
            };
            let content_type = fields.text()?;
            ReplicaState::Live {
                value: fields.bytes()?,
                content_type,
                packing,
                lifetime,
                created,
            }
        }
        _ => return None,
    };
    Some(ReplicaItem {
        namespace,
        key,
        version,
        state,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_reads_as_an_item_is_written_as_the_same_bytes(bytes in prop::collection::vec(0u8..4, 0..120)) {
            let mut fields = Fields(&bytes);
            if let Some(item) = decode(&mut fields) {
                let mut again = Vec::new();
                encode(&item, &mut again);
                prop_assert_eq!(&again[..], &bytes[..bytes.len() - fields.0.len()]);
            }
        }
    }

    #[test]
    fn an_item_that_is_cut_is_none() {
        let state = ReplicaState::Live {
            value: b"value",
            content_type: "text/plain",
            packing: Packing::Lz4,
            lifetime: Lifetime {
                fresh_until_ms: 1,
                expires_at_ms: 2,
            },
            created: true,
        };
        for state in [state, ReplicaState::Deleted { at_ms: 3, existed: true }] {
            let item = ReplicaItem {
                namespace: "ns",
                key: "key",
                version: 9,
                state,
            };
            let mut bytes = Vec::new();
            encode(&item, &mut bytes);
            assert_eq!(decode(&mut Fields(&bytes)), Some(item));
            for length in 0..bytes.len() {
                assert_eq!(
                    decode(&mut Fields(&bytes[..length])),
                    None,
                    "{length} of {} bytes",
                    bytes.len()
                );
            }
        }
    }
}
