//! Where raw bytes go: standard output, or a file that appears only when it is whole.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Output;

/// Takes bytes until [`Sink::finish`]. Dropped before that, it leaves no file behind.
pub(crate) enum Sink<'a> {
    /// Standard output.
    Stdout(&'a mut Output),
    /// A file.
    File(Partial),
}

/// A file under a name of its own until it is whole.
pub(crate) struct Partial {
    file: BufWriter<File>,
    target: PathBuf,
    /// The name until then; none for what is no regular file (a device, a named pipe) and is written directly.
    temporary: Option<PathBuf>,
}

impl<'a> Sink<'a> {
    /// A file when a path is given, otherwise standard output.
    pub(crate) fn open(path: Option<&Path>, output: &'a mut Output) -> anyhow::Result<Self> {
        match path {
            Some(path) => Ok(Self::File(Partial::create(path).with_context(|| unwritable(path))?)),
            None => Ok(Self::Stdout(output)),
        }
    }

    /// Writes a piece.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Stdout(output) => Ok(output.raw(bytes)?),
            Self::File(partial) => partial.file.write_all(bytes).with_context(|| unwritable(&partial.target)),
        }
    }

    /// Makes what was written whole.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(output) => Ok(output.flush()?),
            Self::File(mut partial) => partial.keep().with_context(|| unwritable(&partial.target)),
        }
    }
}

impl Partial {
    fn create(target: &Path) -> std::io::Result<Self> {
        let is_regular = target.metadata().map_or(true, |metadata| metadata.is_file());
        let temporary = is_regular.then(|| {
            let mut name = target.as_os_str().to_owned();
            name.push(".partial");
            PathBuf::from(name)
        });
        let file = File::create(temporary.as_deref().unwrap_or(target))?;
        Ok(Self {
            file: BufWriter::new(file),
            target: target.to_owned(),
            temporary,
        })
    }

    fn keep(&mut self) -> std::io::Result<()> {
        self.file.flush()?;
        if let Some(temporary) = &self.temporary {
            fs::rename(temporary, &self.target)?;
            self.temporary = None;
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            drop(fs::remove_file(temporary));
        }
    }
}

fn unwritable(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_file_is_not_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("rows.csv");
        fs::write(&target, "before").unwrap();
        let mut partial = Partial::create(&target).unwrap();
        partial.file.write_all(b"half").unwrap();
        drop(partial);
        assert_eq!(fs::read(&target).unwrap(), b"before");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn finished_file_replaces_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("rows.csv");
        fs::write(&target, "before").unwrap();
        let mut partial = Partial::create(&target).unwrap();
        partial.file.write_all(b"after").unwrap();
        partial.keep().unwrap();
        drop(partial);
        assert_eq!(fs::read(&target).unwrap(), b"after");
    }
}
