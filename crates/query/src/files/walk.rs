//! Files on disk: one, those of a directory (and of its `key=value` directories), or those that a pattern matches.

use std::collections::HashSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use datafusion::object_store::ObjectMeta;
use datafusion::object_store::path::Path as Location;
use glob::{MatchOptions, Pattern};

use super::DataDirs;
use super::objects::{Entry, Kind};
use crate::Error;

/// More files than this are not one table: their plan would not fit.
const MAX_FILES: usize = 20_000;
/// Directories within directories.
const MAX_DEPTH: usize = 32;
pub(super) const MATCH: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// The files of a table, sorted by name.
pub(super) fn find(path: &Path, dirs: &DataDirs) -> Result<(Kind, Vec<Entry>), Error> {
    // What exists is meant literally, whatever its name looks like.
    match dirs.resolve(path) {
        Ok(real) if real.is_dir() => {
            let mut walk = Walk::new(dirs, Select::Partitions);
            walk.directory(&real, "", 0)?;
            Ok((Kind::Directory, walk.sorted()))
        }
        Ok(real) => {
            if !real.is_file() {
                return Err(Error::Invalid(format!("{} is not a regular file", path.display())));
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok((Kind::One, vec![entry(name, &real)?]))
        }
        Err(Error::NotFound(_)) if is_pattern(path) => by_pattern(path, dirs),
        Err(error) => Err(error),
    }
}

/// Whether a text has anything that patterns are made of.
pub(super) fn has_wildcards(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn is_pattern(path: &Path) -> bool {
    path.to_str().is_some_and(has_wildcards)
}

fn by_pattern(path: &Path, dirs: &DataDirs) -> Result<(Kind, Vec<Entry>), Error> {
    let mut base = PathBuf::new();
    let mut rest: Vec<&str> = Vec::new();
    for component in path.components() {
        let text = component.as_os_str().to_str().unwrap_or_default();
        if component == Component::ParentDir && !rest.is_empty() {
            return Err(Error::Invalid(format!(
                "{}: `..` after a wildcard is not allowed",
                path.display()
            )));
        }
        if rest.is_empty() && !has_wildcards(text) {
            base.push(component);
        } else {
            rest.push(text);
        }
    }
    let text = rest.join("/");
    let pattern = Pattern::new(&text).map_err(|error| Error::Invalid(format!("{} is no pattern: {error}", path.display())))?;
    let real = dirs.resolve(&base)?;
    let deep = rest.contains(&"**");
    let levels = if deep { MAX_DEPTH } else { rest.len() };
    let mut walk = Walk::new(dirs, Select::Pattern { pattern, levels });
    walk.directory(&real, "", 0)?;
    let found = walk.sorted();
    if found.is_empty() {
        return Err(Error::NotFound(format!(
            "no file matches {} on the worker that planned the query",
            path.display()
        )));
    }
    Ok((Kind::Pattern, found))
}

/// What a walk takes.
enum Select {
    /// Files of the directory, and of directories named `key=value` below it.
    Partitions,
    /// What a pattern matches, and the partitions of directories that it matches.
    Pattern { pattern: Pattern, levels: usize },
}

struct Walk<'a> {
    dirs: &'a DataDirs,
    select: Select,
    found: Vec<Entry>,
    /// Directories on the way, so that a link back up is not followed for ever.
    seen: HashSet<PathBuf>,
}

impl<'a> Walk<'a> {
    fn new(dirs: &'a DataDirs, select: Select) -> Self {
        Self {
            dirs,
            select,
            found: Vec::new(),
            seen: HashSet::new(),
        }
    }

    fn sorted(mut self) -> Vec<Entry> {
        self.found.sort_by(|a, b| a.relative.cmp(&b.relative));
        self.found
    }

    fn directory(&mut self, real: &Path, relative: &str, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH || !self.seen.insert(real.to_owned()) {
            return Ok(());
        }
        let unreadable = |error: std::io::Error| Error::Forbidden(format!("{} cannot be read: {error}", real.display()));
        for item in fs::read_dir(real).map_err(unreadable)? {
            let item = item.map_err(unreadable)?;
            let name = item.file_name();
            let Some(name) = name.to_str() else { continue };
            if is_hidden(name) {
                continue;
            }
            let below = if relative.is_empty() {
                name.to_owned()
            } else {
                format!("{relative}/{name}")
            };
            // Of a link, what it leads to.
            let Ok(kind) = fs::metadata(item.path()) else { continue };
            if kind.is_dir() {
                if self.descends(&below, name) {
                    let real = self.dirs.resolve(&item.path())?;
                    self.directory(&real, &below, depth + 1)?;
                }
            } else if self.takes(&below) {
                let real = self.dirs.resolve(&item.path())?;
                if !real.is_file() {
                    continue;
                }
                self.found.push(entry(below, &real)?);
                if self.found.len() > MAX_FILES {
                    return Err(Error::TooLarge(format!(
                        "it has more than {MAX_FILES} files: name fewer of them, or make larger files"
                    )));
                }
            }
        }
        Ok(())
    }

    fn descends(&self, below: &str, name: &str) -> bool {
        match &self.select {
            Select::Partitions => name.contains('='),
            Select::Pattern { levels, .. } => below.split('/').count() < *levels || (name.contains('=') && self.takes(below)),
        }
    }

    fn takes(&self, below: &str) -> bool {
        match &self.select {
            Select::Partitions => true,
            // A directory that is matched stands for its files, and those of its partitions.
            Select::Pattern { pattern, .. } => {
                let mut path = below;
                loop {
                    if pattern.matches_with(path, MATCH) {
                        return true;
                    }
                    match path.rsplit_once('/') {
                        Some((parent, name)) if name.contains('=') || path.len() == below.len() => path = parent,
                        _ => return false,
                    }
                }
            }
        }
    }
}

/// Names that begin with `.` or `_` are notes and temporary files of those who write tables, here as elsewhere.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

fn entry(relative: String, real: &Path) -> Result<Entry, Error> {
    let unreadable = |error: &dyn std::fmt::Display| Error::Forbidden(format!("{} cannot be read: {error}", real.display()));
    let metadata = fs::metadata(real).map_err(|error| unreadable(&error))?;
    let modified = metadata.modified().map_err(|error| unreadable(&error))?;
    Ok(Entry {
        relative,
        shown: real.display().to_string(),
        meta: ObjectMeta {
            location: Location::from_absolute_path(real).map_err(|error| unreadable(&error))?,
            last_modified: modified.into(),
            size: metadata.len(),
            e_tag: None,
            version: None,
        },
    })
}
