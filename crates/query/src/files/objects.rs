//! Files that are not on this worker's disk: of a dataset, behind HTTP, in S3.

use api::task::PlanFile;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::object_store::path::Path;
use datafusion::object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use futures::TryStreamExt;
use glob::Pattern;
use url::Url;

use super::walk::{MATCH, has_wildcards, is_hidden};
use crate::Error;

/// More files than this are not one table: their plan would not fit.
const MAX_FILES: usize = 20_000;

/// A file of a table before anything in it was read.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Its path below the table's root: `year=2024/a.csv`.
    pub(super) relative: String,
    /// Its name for people.
    pub(super) shown: String,
    pub(super) meta: ObjectMeta,
}

/// How the files of a table were named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One, by its name.
    One,
    /// Those of a directory: of these, files of other formats are none of ours.
    Directory,
    /// By a pattern, or one by one: all of them are meant.
    Pattern,
}

/// Where the files of datasets are.
pub(super) fn blob_url() -> Result<ObjectStoreUrl, Error> {
    ObjectStoreUrl::parse("blob:///").map_err(|error| Error::Internal(error.to_string()))
}

/// The files of a dataset, as its manifest has them.
pub(super) fn of_dataset(name: &str, files: &[PlanFile]) -> Result<Vec<Entry>, Error> {
    let entry = |file: &PlanFile| {
        let location = Path::parse(&file.blob);
        Ok(Entry {
            relative: file.path.clone(),
            shown: format!("{} of dataset {name}", file.path),
            meta: ObjectMeta {
                location: location.map_err(|error| Error::Internal(format!("dataset {name:?}: {error}")))?,
                last_modified: std::time::UNIX_EPOCH.into(),
                size: file.bytes,
                e_tag: None,
                version: None,
            },
        })
    };
    files.iter().map(entry).collect()
}

/// The file behind a URL.
pub(super) async fn behind_http(store: &dyn ObjectStore, url: &Url) -> Result<Vec<Entry>, Error> {
    let location = Path::from_url_path(url.path()).map_err(|error| Error::Invalid(format!("{url}: {error}")))?;
    let meta = store
        .head(&location)
        .await
        .map_err(|error| unreachable(url.as_str(), &error))?;
    Ok(vec![Entry {
        relative: location.filename().unwrap_or_default().to_owned(),
        shown: url.to_string(),
        meta,
    }])
}

/// An object, those below a prefix (and its `key=value` directories), or those that a pattern matches.
pub(super) async fn in_bucket(store: &dyn ObjectStore, bucket: &str, key: &str) -> Result<(Kind, Vec<Entry>), Error> {
    let shown = |key: &str| format!("s3://{bucket}/{key}");
    let invalid = |error: &dyn std::fmt::Display| Error::Invalid(format!("{}: {error}", shown(key)));
    let location = Path::parse(key.trim_end_matches('/')).map_err(|error| invalid(&error))?;
    if !key.is_empty() && !key.ends_with('/') {
        match store.head(&location).await {
            Ok(meta) => {
                let relative = location.filename().unwrap_or_default().to_owned();
                let shown = shown(key);
                return Ok((Kind::One, vec![Entry { relative, shown, meta }]));
            }
            Err(datafusion::object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(unreachable(&shown(key), &error)),
        }
    }
    let (base, pattern) = match key.find(['*', '?', '[']) {
        Some(wild) => {
            let cut = key[..wild].rfind('/').map_or(0, |slash| slash + 1);
            let pattern = Pattern::new(&key[cut..]).map_err(|error| invalid(&error))?;
            (
                Path::parse(key[..cut].trim_end_matches('/')).map_err(|error| invalid(&error))?,
                Some(pattern),
            )
        }
        None => (location, None),
    };
    let mut listing = store.list(Some(&base));
    let mut found = Vec::new();
    while let Some(meta) = listing.try_next().await.map_err(|error| unreachable(&shown(key), &error))? {
        let whole = meta.location.as_ref();
        let relative = whole.strip_prefix(base.as_ref()).unwrap_or(whole).trim_start_matches('/');
        let taken = match &pattern {
            Some(pattern) => pattern.matches_with(relative, MATCH),
            None => relative
                .rsplit_once('/')
                .is_none_or(|(directories, _)| directories.split('/').all(|directory| directory.contains('='))),
        };
        if !taken || relative.is_empty() || relative.split('/').any(is_hidden) {
            continue;
        }
        if found.len() == MAX_FILES {
            return Err(Error::TooLarge(format!(
                "it has more than {MAX_FILES} files: name fewer of them, or make larger files"
            )));
        }
        found.push(Entry {
            relative: relative.to_owned(),
            shown: shown(whole),
            meta,
        });
    }
    found.sort_by(|a, b| a.relative.cmp(&b.relative));
    if found.is_empty() {
        return Err(Error::NotFound(format!("there is nothing at {}", shown(key))));
    }
    let kind = if has_wildcards(key) { Kind::Pattern } else { Kind::Directory };
    Ok((kind, found))
}

fn unreachable(name: &str, error: &datafusion::object_store::Error) -> Error {
    use datafusion::object_store::Error as Store;
    match error {
        Store::NotFound { .. } => Error::NotFound(format!("there is nothing at {name}")),
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => {
            Error::Forbidden(format!("{name} cannot be read: {error}"))
        }
        _ => Error::Internal(format!("{name} cannot be reached: {}", whole(error))),
    }
}

/// The error with what caused it.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
