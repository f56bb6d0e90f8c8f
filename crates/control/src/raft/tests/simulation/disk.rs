//! A disk in memory that loses, when the power fails, what was not synced: bytes and names. It may be slow, or full, and the
//! end of its process, or of the power, may come at any call of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::{Mutex, MutexGuard};

use super::faults::{Fault, Tally};
use super::runtime::Process;
use crate::raft::disk::{Disk, DiskFile};

/// A sync takes so long, at most, when nothing is wrong.
const USUAL: Duration = Duration::from_millis(6);
/// A sync that takes longer is slow, and one that takes as long as an election timeout is a stall.
const SLOW: Duration = Duration::from_millis(50);
const STALL: Duration = Duration::from_secs(1);
/// What is written together, of which a power failure takes all or nothing.
const SECTOR: usize = 512;

/// The disk of a master; outlives its processes.
#[derive(Debug, Clone)]
pub(super) struct Platter(Arc<Mutex<Files>>);

#[derive(Debug)]
struct Files {
    rng: Rng,
    tally: Arc<Tally>,
    /// Names as they are, and as they would be after a power failure.
    live: BTreeMap<PathBuf, usize>,
    durable: BTreeMap<PathBuf, usize>,
    contents: Vec<Content>,
    /// Power failures so far: what was opened before one is of no use after it.
    failures: u64,
    /// Syncs take up to so long.
    slowest: Duration,
    /// Bytes that still fit, when it is about to be full.
    left: Option<usize>,
    /// The process that ends at a call to come, and after how many.
    doomed: Option<(u32, Arc<Process>)>,
    lies: Lies,
}

/// Syncs that are none, to see whether anybody notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lies {
    No,
    /// A fault of the hardware: it says that it has synced, and has not.
    Always,
    /// As if a file were not synced when it is taken up again after a crash: it may hold what was only written.
    AtRestart,
}

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: usize,
}

/// The disk as one process has it, which knows it under a directory of its own.
#[derive(Debug, Clone)]
pub(super) struct Mounted {
    files: Platter,
    root: PathBuf,
    failures: u64,
}

struct OpenFile {
    disk: Mounted,
    content: usize,
    /// Nothing was written since it was opened again.
    untouched: bool,
}

impl Platter {
    pub(super) fn new(rng: Rng, tally: &Arc<Tally>, lies: Lies) -> Self {
        Self(Arc::new(Mutex::new(Files {
            rng,
            tally: Arc::clone(tally),
            live: BTreeMap::new(),
            durable: BTreeMap::new(),
            contents: Vec::new(),
            failures: 0,
            slowest: USUAL,
            left: None,
            doomed: None,
            lies,
        })))
    }

    pub(super) fn mount(&self, root: PathBuf) -> Mounted {
        let mut files = self.0.lock();
        files.doomed = None;
        let failures = files.failures;
        drop(files);
        let files = self.clone();
        Mounted { files, root, failures }
    }

    /// Ends what a killed process had open; all that it wrote is there.
    pub(super) fn detach(&self) {
        self.0.lock().failures += 1;
    }

    /// The power fails: of what was not synced, each file keeps some of the first bytes, not all of them right.
    pub(super) fn power_failure(&self) {
        let mut files = self.0.lock();
        files.failures += 1;
        if files.live != files.durable {
            files.tally.note(Fault::NamesLost);
        }
        files.live = files.durable.clone();
        let Files {
            rng, contents, tally, ..
        } = &mut *files;
        for content in contents {
            let written = content.bytes.len();
            let kept = rng.usize(content.synced..=written);
            if kept < written {
                tally.note(Fault::BytesLost);
            }
            content.bytes.truncate(kept);
            if kept > content.synced && rng.bool() {
                // Sectors are written in any order.
                let from = rng.usize(content.synced..kept);
                let to = kept.min((from / SECTOR + 1) * SECTOR);
                content.bytes[from..to].fill(0);
                tally.note(Fault::BytesTorn);
            }
            content.synced = kept;
        }
    }

    /// Another disk, without anything on it.
    pub(super) fn wipe(&self) {
        let mut files = self.0.lock();
        files.failures += 1;
        files.live.clear();
        files.durable.clear();
        files.left = None;
    }

    /// Makes syncs take up to so long; as usual with none.
    pub(super) fn slow_down(&self, slowest: Option<Duration>) {
        self.0.lock().slowest = slowest.unwrap_or(USUAL);
    }

    /// Leaves space for so many bytes; for all with none.
    pub(super) fn fill(&self, left: Option<usize>) {
        self.0.lock().left = left;
    }

    /// Ends a process at one of the calls to come.
    pub(super) fn doom(&self, calls: u32, process: Arc<Process>) {
        self.0.lock().doomed = Some((calls, process));
    }

    /// Whether the process that was doomed has ended.
    pub(super) fn is_done_with(&self, process: &Arc<Process>) -> bool {
        let files = self.0.lock();
        files.doomed.as_ref().is_none_or(|(_, doomed)| !Arc::ptr_eq(doomed, process))
    }
}

impl Mounted {
    fn on(&self) -> io::Result<MutexGuard<'_, Files>> {
        let mut files = self.files.0.lock();
        if files.failures != self.failures {
            return Err(io::Error::other("the power is off"));
        }
        match &mut files.doomed {
            Some((0, process)) => {
                process.kill();
                files.doomed = None;
                files.failures += 1;
                files.tally.note(Fault::CrashAtDisk);
                return Err(io::Error::other("the process has ended"));
            }
            Some((calls, _)) => *calls -= 1,
            None => {}
        }
        Ok(files)
    }

    fn local(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }

    fn open(&self, content: usize, untouched: bool) -> Box<dyn DiskFile> {
        let disk = self.clone();
        Box::new(OpenFile {
            disk,
            content,
            untouched,
        })
    }
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.display().to_string())
}

impl Disk for Mounted {
    fn imagined(&self) -> Option<Duration> {
        let mut files = self.files.0.lock();
        let most = u64::try_from(files.slowest.as_micros()).unwrap_or(u64::MAX);
        let takes = Duration::from_micros(files.rng.u64(500..most.max(501)));
        if takes >= STALL {
            files.tally.note(Fault::DiskStall);
        } else if takes >= SLOW {
            files.tally.note(Fault::SlowSync);
        }
        Some(takes)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        // Beside the files there is a lock, which is the operating system's.
        fs::create_dir_all(dir)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let (files, dir) = (self.on()?, self.local(dir));
        let inside = files.live.keys().filter(|path| path.parent() == Some(dir.as_path()));
        let names = inside.filter_map(|path| path.file_name().and_then(|name| name.to_str()));
        Ok(names.map(str::to_owned).collect())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let (mut files, dir) = (self.on()?, self.local(dir));
        if files.lies == Lies::Always {
            return Ok(());
        }
        let inside = |path: &PathBuf| path.parent() == Some(dir.as_path());
        files.durable.retain(|path, _| !inside(path));
        let names: Vec<_> = files
            .live
            .iter()
            .filter(|(path, _)| inside(path))
            .map(|(path, content)| (path.clone(), *content))
            .collect();
        files.durable.extend(names);
        Ok(())
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        let files = self.on()?;
        let content = files.live.get(&self.local(path)).ok_or_else(|| missing(path))?;
        Ok(Box::new(Cursor::new(files.contents[*content].bytes.clone())))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut files = self.on()?;
        files.contents.push(Content::default());
        let content = files.contents.len() - 1;
        files.live.insert(self.local(path), content);
        Ok(self.open(content, false))
    }

    fn reopen(&self, path: &Path, length: u64) -> io::Result<Box<dyn DiskFile>> {
        let mut files = self.on()?;
        let content = *files.live.get(&self.local(path)).ok_or_else(|| missing(path))?;
        let held = &mut files.contents[content];
        held.bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        held.synced = held.synced.min(held.bytes.len());
        Ok(self.open(content, true))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.on()?;
        let content = files.live.remove(&self.local(from)).ok_or_else(|| missing(from))?;
        files.live.insert(self.local(to), content);
        if to.extension().is_some_and(|extension| extension == "snapshot") {
            files.tally.note(Fault::SnapshotMade);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut files = self.on()?;
        let removed = files.live.remove(&self.local(path));
        removed.map(|_| ()).ok_or_else(|| missing(path))
    }
}

impl DiskFile for OpenFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.untouched = false;
        let mut files = self.disk.on()?;
        let fits = files.left.map_or(bytes.len(), |left| left.min(bytes.len()));
        files.contents[self.content].bytes.extend_from_slice(&bytes[..fits]);
        if let Some(left) = &mut files.left {
            *left -= fits;
        }
        if fits < bytes.len() {
            files.tally.note(Fault::DiskFull);
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut files = self.disk.on()?;
        let lie = files.lies == Lies::Always || (files.lies == Lies::AtRestart && self.untouched);
        if !lie {
            let content = &mut files.contents[self.content];
            content.synced = content.bytes.len();
        }
        Ok(())
    }
}
