//! Who this node is, and whom it has met: the facts that keep a wiped disk from voting again under its old id.
//!
//! A data directory gets a random *store id* when it is made. The membership in the log names the store id of every voter,
//! so whoever counts on a voter knows it: nobody is asked for a vote but by a membership that says whose vote it must be.
//! Of a master that is no voter yet, the first store id met is kept, durably, before anything is answered to it or taken
//! from it, and becomes the one in the membership when it is promoted. Another one under the same id is refused for ever.
//! Raft rests on members that forget nothing they have said.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::advice::ADVICE;
use super::blocking::blocking;
use super::disk::Disk;
use super::frame::{self, Frame};
use super::initial::InitialMember;
use super::runtime::new_id;
use crate::error::Error;

const FILE: &str = "identity";
const UNFINISHED: &str = "identity.unfinished";
const FORMAT: u32 = 1;

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Facts {
    format: u32,
    name: String,
    store: Uuid,
    place: Option<Place>,
    /// The log was begun: it must be there from then on.
    begun: bool,
    met: BTreeMap<u64, Uuid>,
}

/// A node's place in a cluster; it has one for ever or none yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The cluster.
    pub(crate) cluster: Uuid,
    /// The node's raft id in it.
    pub(crate) node_id: u64,
    /// Whom this node begins the cluster with; empty when it was begun by another.
    pub(crate) initial: Vec<InitialMember>,
}

/// The identity of a data directory.
#[derive(Debug)]
pub(crate) struct Identity {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    facts: RwLock<Facts>,
    writing: Mutex<()>,
}

impl Identity {
    /// Whether a directory, which exists, has one.
    pub(crate) fn is_there(disk: &dyn Disk, dir: &Path) -> Result<bool, Error> {
        let names = disk.names(dir).map_err(|error| unusable(dir, &error))?;
        Ok(names.iter().any(|held| held == FILE))
    }

    /// Reads the identity of a directory, which exists, or gives it one.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, name: &str) -> Result<Self, Error> {
        let facts = if Self::is_there(&*disk, dir)? {
            read(&*disk, dir)?
        } else {
            let facts = Facts::new(name);
            write(&*disk, dir, &facts).map_err(|error| unusable(dir, &error))?;
            facts
        };
        if facts.name != name {
            return Err(Error::Invalid(format!(
                "RAFT_DIR {} belongs to {}, and this is {name} (NODE_ID): give each master its own directory, and the name it began with",
                dir.display(),
                facts.name
            )));
        }
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            facts: RwLock::new(facts),
            writing: Mutex::default(),
        })
    }

    /// Writes the identity of a directory that is being restored.
    pub(crate) fn restore(disk: &dyn Disk, dir: &Path, name: &str, store: Uuid, place: Place) -> io::Result<()> {
        let facts = Facts {
            store,
            place: Some(place),
            begun: true,
            ..Facts::new(name)
        };
        write(disk, dir, &facts)
    }

    /// This node's name.
    pub(crate) fn name(&self) -> String {
        self.facts.read().name.clone()
    }

    /// Id of the data directory.
    pub(crate) fn store(&self) -> Uuid {
        self.facts.read().store
    }

    /// The node's place, once it has one.
    pub(crate) fn place(&self) -> Option<Place> {
        self.facts.read().place.clone()
    }

    /// The cluster, once the node has a place in one.
    pub(crate) fn cluster(&self) -> Option<Uuid> {
        self.facts.read().place.as_ref().map(|place| place.cluster)
    }

    /// The node's raft id; 0 while it has none.
    pub(crate) fn id(&self) -> u64 {
        self.facts.read().place.as_ref().map_or(0, |place| place.node_id)
    }

    /// The store id on record for a raft id.
    pub(crate) fn met(&self, id: u64) -> Option<Uuid> {
        self.facts.read().met.get(&id).copied()
    }

    /// Takes a place, durably.
    pub(crate) async fn take(&self, place: Place) -> Result<(), Error> {
        self.change(|facts| facts.place = Some(place)).await
    }

    /// Whether the log was begun.
    pub(crate) fn begun(&self) -> bool {
        self.facts.read().begun
    }

    /// Keeps in mind, durably, that the log was begun: a node without it must not vote again.
    pub(crate) async fn begin(&self) -> Result<(), Error> {
        self.change(|facts| facts.begun = true).await
    }

    /// Puts a store id on record at the first meeting, durably, and compares it at every other. False for another one.
    pub(crate) async fn meet(&self, id: u64, store: Uuid) -> Result<bool, Error> {
        if let Some(known) = self.met(id) {
            return Ok(known == store);
        }
        self.change(|facts| {
            facts.met.entry(id).or_insert(store);
        })
        .await?;
        Ok(self.met(id) == Some(store))
    }

    async fn change(&self, change: impl FnOnce(&mut Facts)) -> Result<(), Error> {
        let _one = self.writing.lock().await;
        let mut facts = self.facts.read().clone();
        change(&mut facts);
        if *self.facts.read() == facts {
            return Ok(());
        }
        let (disk, dir, written) = (Arc::clone(&self.disk), self.dir.clone(), facts.clone());
        let done = blocking(&*self.disk, move || write(&*disk, &dir, &written)).await;
        done.flatten()
            .map_err(|error| Error::Unavailable(format!("{} cannot be written: {error}", self.dir.join(FILE).display())))?;
        *self.facts.write() = facts;
        Ok(())
    }
}

impl Facts {
    fn new(name: &str) -> Self {
        Self {
            format: FORMAT,
            name: name.to_owned(),
            store: new_id(),
            place: None,
            begun: false,
            met: BTreeMap::new(),
        }
    }
}

fn unusable(dir: &Path, error: &io::Error) -> Error {
    Error::Unavailable(format!("the directory {} cannot be used: {error}", dir.display()))
}

fn read(disk: &dyn Disk, dir: &Path) -> Result<Facts, Error> {
    let path = dir.join(FILE);
    let damaged = |reason: String| Error::Damaged(format!("{}: {reason}. {ADVICE}", path.display()));
    let mut bytes = Vec::new();
    let read = disk.read(&path).and_then(|mut file| file.read_to_end(&mut bytes));
    read.map_err(|error| damaged(error.to_string()))?;
    let Frame::Whole { payload, .. } = frame::read(&bytes, 0, 0) else {
        return Err(damaged("its checksum does not match".to_owned()));
    };
    let facts: Facts = postcard::from_bytes(payload).map_err(|error| damaged(format!("it cannot be read ({error})")))?;
    if facts.format == FORMAT {
        Ok(facts)
    } else {
        Err(Error::Invalid(format!(
            "{} has format {}, which this version does not know",
            path.display(),
            facts.format
        )))
    }
}

fn write(disk: &dyn Disk, dir: &Path, facts: &Facts) -> io::Result<()> {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, 0, 0, |payload| postcard::to_io(facts, payload).map(|_| ())).map_err(io::Error::other)?;
    let unfinished = dir.join(UNFINISHED);
    let mut file = disk.create(&unfinished)?;
    file.append(&bytes)?;
    file.sync()?;
    disk.rename(&unfinished, &dir.join(FILE))?;
    disk.sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::super::disk::OsDisk;
    use super::*;

    fn open(dir: &Path) -> Identity {
        Identity::open(Arc::new(OsDisk), dir, "a").unwrap()
    }

    #[tokio::test]
    async fn the_first_store_id_met_is_the_only_one() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
        let identity = open(dir.path());
        assert!(identity.meet(7, first).await.unwrap());
        assert!(!identity.meet(7, second).await.unwrap());
        let store = identity.store();

        let again = open(dir.path());
        assert_eq!(again.store(), store);
        assert!(again.meet(7, first).await.unwrap() && !again.meet(7, second).await.unwrap());
    }

    #[tokio::test]
    async fn a_place_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place {
            cluster: Uuid::new_v4(),
            node_id: 9,
            initial: Vec::new(),
        };
        let identity = open(dir.path());
        assert_eq!((identity.id(), identity.cluster()), (0, None));
        identity.take(place.clone()).await.unwrap();
        assert_eq!(open(dir.path()).place(), Some(place));
    }

    #[test]
    fn another_name_and_damage_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path());
        let other = Identity::open(Arc::new(OsDisk), dir.path(), "b").unwrap_err();
        assert!(
            matches!(&other, Error::Invalid(text) if text.contains("belongs to a")),
            "{other}"
        );
        let path = dir.path().join(FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let damaged = Identity::open(Arc::new(OsDisk), dir.path(), "a").unwrap_err();
        assert!(matches!(damaged, Error::Damaged(_)), "{damaged}");
    }
}
