//! Items that tests own, and the short way to write and read a backup of them.

use std::path::{Path, PathBuf};

use api::cache::{Lifetime, Packing, ReplicaItem, ReplicaState};
use api::{BootId, Epoch, NodeId};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use store::backup::{BackupDir, BackupId, BackupInfo, BackupMeta, Error};

/// A [`ReplicaItem`] that owns its parts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) namespace: String,
    pub(crate) key: String,
    pub(crate) version: u64,
    pub(crate) state: State,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    Live {
        value: Vec<u8>,
        content_type: String,
        packing: Packing,
        lifetime: Lifetime,
        created: bool,
    },
    Deleted {
        at_ms: u64,
        existed: bool,
    },
}

impl Item {
    pub(crate) fn live(key: &str, version: u64, value: impl Into<Vec<u8>>) -> Self {
        Self {
            namespace: String::new(),
            key: key.to_owned(),
            version,
            state: State::Live {
                value: value.into(),
                content_type: "text/plain".to_owned(),
                packing: Packing::Plain,
                lifetime: Lifetime::default(),
                created: true,
            },
        }
    }

    pub(crate) fn deleted(key: &str, version: u64) -> Self {
        Self {
            state: State::Deleted {
                at_ms: 1_763_999_999_999,
                existed: true,
            },
            ..Self::live(key, version, "")
        }
    }

    pub(crate) fn of(item: &ReplicaItem<'_>) -> Self {
        Self {
            namespace: item.namespace.to_owned(),
            key: item.key.to_owned(),
            version: item.version,
            state: match item.state {
                ReplicaState::Live {
                    value,
                    content_type,
                    packing,
                    lifetime,
                    created,
                } => State::Live {
                    value: value.to_owned(),
                    content_type: content_type.to_owned(),
                    packing,
                    lifetime,
                    created,
                },
                ReplicaState::Deleted { at_ms, existed } => State::Deleted { at_ms, existed },
                ReplicaState::Evicted => panic!("{item:?} came out of a backup"),
            },
        }
    }

    pub(crate) fn borrowed(&self) -> ReplicaItem<'_> {
        ReplicaItem {
            namespace: &self.namespace,
            key: &self.key,
            version: self.version,
            state: match &self.state {
                State::Live {
                    value,
                    content_type,
                    packing,
                    lifetime,
                    created,
                } => ReplicaState::Live {
                    value,
                    content_type,
                    packing: *packing,
                    lifetime: *lifetime,
                    created: *created,
                },
                State::Deleted { at_ms, existed } => ReplicaState::Deleted {
                    at_ms: *at_ms,
                    existed: *existed,
                },
            },
        }
    }
}

/// Any items; a few have values larger than a block.
pub(crate) fn any_items() -> impl Strategy<Value = Vec<Item>> {
    let value = prop_oneof![
        20 => vec(any::<u8>(), 0..300),
        1 => (any::<u8>(), 0usize..1_500_000).prop_map(|(byte, length)| vec![byte; length]),
    ];
    let lifetime = any::<(u64, u64)>().prop_map(|(fresh_until_ms, expires_at_ms)| Lifetime {
        fresh_until_ms,
        expires_at_ms,
    });
    let packing = prop_oneof![Just(Packing::Plain), Just(Packing::Lz4)];
    let live =
        (value, "\\PC{0,12}", packing, lifetime, any::<bool>()).prop_map(|(value, content_type, packing, lifetime, created)| {
            State::Live {
                value,
                content_type,
                packing,
                lifetime,
                created,
            }
        });
    let deleted = any::<(u64, bool)>().prop_map(|(at_ms, existed)| State::Deleted { at_ms, existed });
    let item = ("\\PC{0,6}", "\\PC{0,40}", any::<u64>(), prop_oneof![3 => live, 1 => deleted]);
    let item = item.prop_map(|(namespace, key, version, state)| Item {
        namespace,
        key,
        version,
        state,
    });
    vec(item, 0..30)
}

pub(crate) fn open(path: &Path, keep: usize) -> BackupDir {
    BackupDir::open(path, keep).expect("open the directory")
}

pub(crate) fn id(id: &str) -> BackupId {
    BackupId::try_new(id).expect("valid id")
}

pub(crate) fn meta(name: &str) -> BackupMeta {
    BackupMeta {
        id: id(name),
        node: NodeId::try_new("aux-1").expect("valid name"),
        boot_id: "6b1f0c64-7c1e-4f0a-9a55-0d3c1f2e4b5a".parse::<BootId>().expect("a UUID"),
        epoch: Epoch(7),
        made_at_ms: 1_764_000_000_000,
    }
}

pub(crate) fn write(dir: &BackupDir, name: &str, items: &[Item]) -> Result<BackupInfo, Error> {
    let mut writer = dir.begin(meta(name))?;
    items.iter().try_for_each(|item| writer.add(&item.borrowed()))?;
    writer.finish()
}

pub(crate) fn newest(dir: &BackupDir) -> (Result<Option<BackupInfo>, Error>, Vec<Item>) {
    let mut items = Vec::new();
    let info = dir.newest_whole(|item| items.push(Item::of(&item)));
    (info, items)
}

/// Everything in a directory but its lock.
pub(crate) fn files(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).expect("directory");
    let paths = entries.map(|entry| entry.expect("entry").path());
    let mut files: Vec<PathBuf> = paths.filter(|path| !path.ends_with("lock")).collect();
    files.sort();
    files
}
