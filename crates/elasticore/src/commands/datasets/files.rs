//! Which files are meant by the paths on the command line.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::exit::UsageError;

/// A file, and its path in the dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) stored_as: String,
}

/// All files of these paths, in order; hidden ones in directories are left out.
pub(super) fn find(paths: &[PathBuf], stored_as: Option<&str>) -> anyhow::Result<Vec<Found>> {
    let mut found = Vec::new();
    for path in paths {
        let about = std::fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?;
        if about.is_dir() {
            below(path, "", &mut found)?;
        } else {
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| UsageError(format!("{} has a name that is no UTF-8; use --as", path.display())));
            found.push(Found {
                path: path.clone(),
                stored_as: match stored_as {
                    Some(stored_as) => stored_as.to_owned(),
                    None => name?.to_owned(),
                },
            });
        }
    }
    if stored_as.is_some() && (found.len() != 1 || paths.iter().any(|path| path.is_dir())) {
        return Err(UsageError("--as is for a single file".to_owned()).into());
    }
    let mut names: Vec<&str> = found.iter().map(|file| file.stored_as.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let text = format!("two files would be stored as {}; upload them one by one with --as", twice[0]);
        return Err(UsageError(text).into());
    }
    if found.is_empty() {
        return Err(UsageError("there are no files in these directories".to_owned()).into());
    }
    Ok(found)
}

fn below(directory: &Path, prefix: &str, found: &mut Vec<Found>) -> anyhow::Result<()> {
    let listed = std::fs::read_dir(directory).with_context(|| format!("{} cannot be read", directory.display()))?;
    let mut entries = listed.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let Some(name) = path
            .file_name()
            .and_then(|name| name.to_str())
            .filter(|name| !name.starts_with('.'))
        else {
            continue;
        };
        let stored_as = format!("{prefix}{name}");
        if path.is_dir() {
            below(&path, &format!("{stored_as}/"), found)?;
        } else {
            found.push(Found { path, stored_as });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_walked_and_names_kept_apart() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir_all(root.join("data/year=2026")).unwrap();
        for file in ["data/b.csv", "data/year=2026/a.csv", "data/.hidden", "b.csv"] {
            std::fs::write(root.join(file), "x").unwrap();
        }
        let found = |paths: &[&str], stored_as| {
            let paths: Vec<PathBuf> = paths.iter().map(|path| root.join(path)).collect();
            find(&paths, stored_as).map(|found| found.into_iter().map(|file| file.stored_as).collect::<Vec<_>>())
        };
        assert_eq!(found(&["data"], None).unwrap(), ["b.csv", "year=2026/a.csv"]);
        assert_eq!(found(&["b.csv"], Some("x/y.csv")).unwrap(), ["x/y.csv"]);
        assert!(found(&["data", "b.csv"], None).is_err(), "b.csv twice");
        assert!(found(&["data"], Some("x.csv")).is_err());
        assert!(found(&["none.csv"], None).is_err());
    }
}
