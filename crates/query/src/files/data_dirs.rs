//! The only directories `file://` tables may lie in.
//!
//! A path is judged by what it resolves to, after `..` and symbolic links; and a path that does not even look to be inside is
//! refused before the file system is asked, so that nobody learns what exists elsewhere.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::Error;

/// The directories input files may lie in.
#[derive(Debug, Clone, Default)]
pub struct DataDirs {
    roots: Arc<[Root]>,
}

#[derive(Debug)]
struct Root {
    /// As configured, absolute.
    given: PathBuf,
    /// What it resolves to.
    real: PathBuf,
}

impl DataDirs {
    /// Takes the directories, which must exist.
    ///
    /// # Errors
    /// When one of them is missing or is no directory.
    pub fn try_new(dirs: impl IntoIterator<Item = impl AsRef<Path>>) -> io::Result<Self> {
        let roots = dirs.into_iter().map(|dir| {
            let dir = dir.as_ref();
            let context = |error: io::Error| io::Error::new(error.kind(), format!("data directory {}: {error}", dir.display()));
            let given = std::path::absolute(dir).map_err(context)?;
            let real = given.canonicalize().map_err(context)?;
            if !real.is_dir() {
                return Err(context(io::Error::from(io::ErrorKind::NotADirectory)));
            }
            Ok(Root {
                given: lexical(&given),
                real,
            })
        });
        Ok(Self {
            roots: roots.collect::<io::Result<_>>()?,
        })
    }

    /// What an absolute path resolves to, if that is inside.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when it is outside, [`Error::NotFound`] when nothing is there.
    pub fn resolve(&self, path: &Path) -> Result<PathBuf, Error> {
        let looks_inside = lexical(path);
        if !self
            .roots
            .iter()
            .any(|root| looks_inside.starts_with(&root.given) || looks_inside.starts_with(&root.real))
        {
            return Err(self.outside(path));
        }
        let real = path.canonicalize().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::NotFound(format!(
                "{} does not exist on the worker that planned the query",
                path.display()
            )),
            _ => Error::Forbidden(format!("{} cannot be read: {error}", path.display())),
        })?;
        if self.contains(&real) {
            Ok(real)
        } else {
            Err(self.outside(path))
        }
    }

    /// Whether a resolved path is inside.
    pub(crate) fn contains(&self, real: &Path) -> bool {
        self.roots.iter().any(|root| real.starts_with(&root.real))
    }

    fn outside(&self, path: &Path) -> Error {
        let roots: Vec<_> = self.roots.iter().map(|root| root.given.display().to_string()).collect();
        let allowed = if roots.is_empty() {
            "none is configured".to_owned()
        } else {
            roots.join(", ")
        };
        Error::Forbidden(format!(
            "{} is outside the data directories of the workers (DATA_DIRS: {allowed})",
            path.display()
        ))
    }
}

/// The path without `.` and `..`, decided on its text alone.
fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_resolves_to_the_inside_is_inside() {
        let outer = tempfile::tempdir().unwrap();
        let (data, secret) = (outer.path().join("data"), outer.path().join("secret.csv"));
        fs::create_dir_all(data.join("sub")).unwrap();
        fs::write(data.join("a.csv"), "x").unwrap();
        fs::write(&secret, "x").unwrap();
        symlink(&secret, data.join("link.csv")).unwrap();
        symlink(outer.path(), data.join("up")).unwrap();
        symlink(data.join("a.csv"), data.join("good.csv")).unwrap();
        let dirs = DataDirs::try_new([&data]).unwrap();

        assert!(dirs.resolve(&data.join("a.csv")).is_ok());
        assert!(dirs.resolve(&data.join("sub/../a.csv")).is_ok());
        assert!(dirs.resolve(&data.join("good.csv")).is_ok());
        for outside in [
            "../secret.csv",
            "sub/../../secret.csv",
            "link.csv",
            "up/secret.csv",
            "../nothing",
        ] {
            let error = dirs.resolve(&data.join(outside)).unwrap_err();
            assert!(matches!(error, Error::Forbidden(_)), "{outside}: {error}");
        }
        assert!(matches!(dirs.resolve(&data.join("none.csv")), Err(Error::NotFound(_))));
        assert!(matches!(dirs.resolve(Path::new("/etc/passwd")), Err(Error::Forbidden(_))));
    }

    #[test]
    fn a_directory_whose_name_only_begins_alike_is_outside() {
        let outer = tempfile::tempdir().unwrap();
        fs::create_dir_all(outer.path().join("data")).unwrap();
        fs::create_dir_all(outer.path().join("data-private")).unwrap();
        let dirs = DataDirs::try_new([outer.path().join("data")]).unwrap();
        assert!(matches!(
            dirs.resolve(&outer.path().join("data-private")),
            Err(Error::Forbidden(_))
        ));
    }

    #[test]
    fn a_root_that_is_itself_a_link_works_by_both_names() {
        let outer = tempfile::tempdir().unwrap();
        let real = outer.path().join("real");
        fs::create_dir_all(&real).unwrap();
        fs::write(real.join("a.csv"), "x").unwrap();
        symlink(&real, outer.path().join("data")).unwrap();
        let dirs = DataDirs::try_new([outer.path().join("data")]).unwrap();
        assert!(dirs.resolve(&outer.path().join("data/a.csv")).is_ok());
        assert!(dirs.resolve(&real.join("a.csv")).is_ok());
    }
}
