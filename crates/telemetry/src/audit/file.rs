//! The file of an audit log: opened to append, one `write` a line, synced to the disk after each batch of those that waited.
//!
//! Whoever rotates it may rename or remove it: once a second the name is looked at, and when it stands for another file, or none, it is opened
//! anew. A line is on the disk some milliseconds after it was recorded; what it tells of does not wait for that. A machine that loses its power
//! may so lose the last lines, a process that is killed only those that were not yet written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use prometheus::IntCounter;

use super::{Actor, Entry, Item, Outcome};

/// Time between two looks at the file's name.
const LOOK: Duration = Duration::from_secs(1);
/// Only its owner reads it, unless the operator made it otherwise.
const MODE: u32 = 0o600;

/// An open file, and its name.
#[derive(Debug)]
pub(super) struct AuditFile {
    path: PathBuf,
    file: File,
    looked: Instant,
    /// The last line may be there in part.
    torn: bool,
    /// Lines that could not be written since the last one that was.
    missing: u64,
}

impl AuditFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: open(path)?,
            looked: Instant::now(),
            torn: false,
            missing: 0,
        })
    }

    /// Opens it anew when its name stands for another file.
    fn follow(&mut self) -> io::Result<()> {
        if self.looked.elapsed() < LOOK {
            return Ok(());
        }
        self.looked = Instant::now();
        let identity = |about: &std::fs::Metadata| (about.dev(), about.ino());
        let named = std::fs::metadata(&self.path).ok().as_ref().map(identity);
        if named != Some(identity(&self.file.metadata()?)) {
            self.file = open(&self.path)?;
            self.torn = false;
        }
        Ok(())
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        // So that what was cut off is no part of what comes now.
        let line = if self.torn { format!("\n{line}") } else { line.to_owned() };
        self.torn = true;
        self.file.write_all(line.as_bytes())?;
        self.torn = false;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(MODE).open(path)
}

/// Writes what comes until nobody can send any more.
pub(super) fn write(mut file: AuditFile, items: &Receiver<Item>, node: &str, lost: &IntCounter) {
    let mut known_lost = lost.get();
    loop {
        let first = match items.recv_timeout(LOOK) {
            Ok(item) => Some(item),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut outcome = file.follow();
        let waiting = first.into_iter().chain(std::iter::from_fn(|| items.try_recv().ok()));
        let (mut written, mut waiters) = (0, Vec::new());
        for item in waiting {
            let entry = match item {
                Item::Entry(entry) => entry,
                Item::Flush(waiter) => {
                    waiters.push(waiter);
                    continue;
                }
            };
            if outcome.is_ok() {
                outcome = file.append(&entry.line(node));
            }
            match outcome {
                Ok(()) => written += 1,
                Err(_) => {
                    file.missing += 1;
                    lost.inc();
                    known_lost += 1;
                }
            }
        }
        // Those that found no place in the queue.
        let dropped = lost.get().saturating_sub(known_lost);
        (known_lost, file.missing) = (known_lost + dropped, file.missing + dropped);
        if outcome.is_ok() && file.missing > 0 {
            let told = Entry::new("audit.lost", Actor::node(node), Outcome::Observed).with("entries", file.missing.to_string());
            outcome = file.append(&told.line(node));
            if outcome.is_ok() {
                tracing::error!(entries = file.missing, "entries are missing in the audit log");
                (file.missing, written) = (0, written + 1);
            }
        }
        if outcome.is_ok() && written > 0 {
            outcome = file.file.sync_data();
        }
        if let Err(error) = outcome {
            let (path, missing) = (file.path.display(), file.missing);
            tracing::error!(%path, %error, missing, "the audit log cannot be written");
        }
        // Also when it failed: there is nothing more to wait for.
        for waiter in waiters {
            waiter.send(()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::audit::Audit;
    use crate::new_registry;

    fn entry(target: &str) -> Entry {
        Entry::new("test", Actor::anonymous(), Outcome::Observed).on(target)
    }

    fn targets(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        let parsed = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        parsed.map(|line| line["target"].as_str().unwrap_or("-").to_owned()).collect()
    }

    #[test]
    fn all_that_was_recorded_is_there_when_it_is_flushed_and_is_added_to_later() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        for life in ["one", "two"] {
            let audit = Audit::open(path.to_str().unwrap(), "m1", &new_registry()).unwrap();
            let other = audit.clone();
            for at in 0..100 {
                other.record(entry(&format!("{life}-{at}")));
            }
            assert!(audit.flush(Duration::from_secs(20)));
        }
        let found = targets(&path);
        assert_eq!(
            (found.len(), found[0].as_str(), found[199].as_str()),
            (200, "one-0", "two-99")
        );
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, MODE);
    }

    #[test]
    fn a_file_that_was_renamed_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (path, old) = (directory.path().join("audit.log"), directory.path().join("audit.log.1"));
        let mut file = AuditFile::open(&path).unwrap();
        file.append(&entry("before").line("m1")).unwrap();
        std::fs::rename(&path, &old).unwrap();
        file.follow().unwrap();
        file.append(&entry("not looked yet").line("m1")).unwrap();
        file.looked -= LOOK;
        file.follow().unwrap();
        file.append(&entry("after").line("m1")).unwrap();
        assert_eq!(
            (targets(&old), targets(&path)),
            (
                vec!["before".to_owned(), "not looked yet".to_owned()],
                vec!["after".to_owned()]
            )
        );
    }

    #[test]
    fn what_is_lost_is_counted_and_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let mut file = AuditFile::open(&path).unwrap();
        // A disk that takes nothing.
        file.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let registry = new_registry();
        let lost = crate::Metrics::new(&registry).counter("lost_total", "For the test.");
        let (sender, receiver) = sync_channel(10);
        std::thread::scope(|scope| {
            let lost = &lost;
            scope.spawn(move || write(file, &receiver, "m1", lost));
            sender.send(Item::Entry(Box::new(entry("lost")))).unwrap();
            while lost.get() == 0 {
                std::thread::yield_now();
            }
            // It looks for its name within a second, and finds the disk well again.
            while !path.metadata().is_ok_and(|about| about.len() > 0) {
                std::thread::yield_now();
            }
            sender.send(Item::Entry(Box::new(entry("written")))).unwrap();
            drop(sender);
        });
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("{") && text.contains(r#""event":"audit.lost""#) && text.contains(r#""entries":"1""#),
            "{text}"
        );
        assert_eq!(targets(&path), ["-", "written"]);
    }

    #[test]
    fn a_place_where_nothing_can_be_written_is_told_at_once() {
        let error = Audit::open("/nowhere/audit.log", "m1", &new_registry()).unwrap_err();
        assert!(error.to_string().contains("AUDIT_LOG"), "{error}");
    }
}
