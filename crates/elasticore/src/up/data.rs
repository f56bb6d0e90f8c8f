//! The data directory: made, checked, and locked against a second process.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

/// Sample tables of a checkout, relative to the current directory.
const SAMPLES: &str = "deploy/sample-data";
/// A table to try when there are no others.
const PLANETS: &str = include_str!("planets.csv");

/// The data directory of a running stack; unlocked when dropped.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory when it is missing, and takes it.
    ///
    /// # Errors
    /// When it cannot be written, or another process has it.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let unusable = || format!("cannot use the data directory {}; choose another with --data", path.display());
        fs::create_dir_all(path).with_context(unusable)?;
        let path = path.canonicalize().with_context(unusable)?;
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .with_context(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                lock.read_to_string(&mut owner).ok();
                let owner = owner.trim();
                let process = if owner.is_empty() {
                    String::new()
                } else {
                    format!(" (process {owner})")
                };
                bail!(
                    "the data directory {} is in use by another stack{process}; stop that one, or choose another with --data",
                    path.display()
                );
            }
            Err(TryLockError::Error(error)) => return Err(anyhow!(error).context(unusable())),
        }
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .with_context(unusable)?;
        fs::create_dir_all(path.join("tables")).with_context(unusable)?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is, absolute.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A directory in it.
    pub(super) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// The directories whose files jobs may read: those asked for, the samples of a checkout, and `tables` in here. The data
    /// directory itself is not among them: a query must not read the control store's files.
    ///
    /// # Errors
    /// When one that was asked for is not there.
    pub(super) fn readable(&self, asked: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
        let mut readable = Vec::new();
        for directory in asked {
            let found = directory
                .canonicalize()
                .with_context(|| format!("cannot read --data-dir {}", directory.display()))?;
            if !found.is_dir() {
                bail!("--data-dir {} is no directory", directory.display());
            }
            readable.push(found);
        }
        readable.extend(Path::new(SAMPLES).canonicalize().ok().filter(|path| path.is_dir()));
        readable.push(self.join("tables"));
        Ok(readable)
    }

    /// A small table to try, written when it is not there yet.
    pub(super) fn planets(&self) -> anyhow::Result<PathBuf> {
        let path = self.join("tables/planets.csv");
        if !path.exists() {
            fs::write(&path, PLANETS).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_has_one_owner_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = DataDir::open(&path).unwrap();
        let refused = DataDir::open(&path).unwrap_err().to_string();
        assert!(
            refused.contains("in use") && refused.contains(&std::process::id().to_string()),
            "{refused}"
        );
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn unusable_directory_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = DataDir::open(&file.path().join("below")).unwrap_err();
        assert!(error.to_string().contains("--data") && error.chain().count() > 1, "{error:#}");
    }

    #[test]
    fn queries_may_read_tables_but_not_the_store() {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDir::open(parent.path()).unwrap();
        let readable = data.readable(&[]).unwrap();
        let store = data.join("control");
        assert!(readable.contains(&data.join("tables")) && !readable.iter().any(|directory| store.starts_with(directory)));
        assert!(data.readable(&["/no/such/directory".into()]).is_err());
        assert!(data.planets().unwrap().starts_with(data.join("tables")));
    }
}
