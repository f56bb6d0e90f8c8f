//! Looking at datasets, and giving out their files.

use std::ops::Range as Bytes;

use api::dataset::DatasetList;
use blobs::{BlobInfo, ByteStream};
use control::{Consistency, Range};

use super::names::manifests_of;
use super::{Datasets, Error, File, Manifest, Name};

/// Manifests read from the store at once: each may be large.
const PAGE: usize = 20;

impl Datasets {
    /// A dataset.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when the store does not answer.
    pub async fn get(&self, name: &Name) -> Result<Manifest, Error> {
        let held = self.held(name).await?;
        held.map(|(manifest, _)| manifest).ok_or_else(|| absent(name))
    }

    /// Datasets of a namespace, by name.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(&self, namespace: &str, limit: usize, after: Option<&str>) -> Result<DatasetList, Error> {
        let prefix = manifests_of(namespace);
        let mut after = after.map(|after| format!("{prefix}{after}"));
        let mut items = Vec::new();
        loop {
            let range = Range {
                prefix: prefix.clone(),
                limit: PAGE.min(limit - items.len()),
                after,
            };
            let page = self.store.range(range, Consistency::Linearizable).await?;
            for entry in &page.items {
                match Manifest::read(entry) {
                    Ok(manifest) => items.push(manifest.summary()),
                    // One damaged manifest must not hide the others.
                    Err(error) => tracing::error!(key = entry.key, %error, "a manifest cannot be read"),
                }
            }
            after = page.items.last().map(|last| last.key.clone());
            if !page.more || items.len() >= limit {
                let last = after.filter(|_| page.more);
                let next = last.map(|key| key.trim_start_matches(&prefix).to_owned());
                return Ok(DatasetList { items, next });
            }
        }
    }

    /// A file of a dataset.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when the store does not answer.
    pub async fn file(&self, name: &Name, path: &str) -> Result<File, Error> {
        let manifest = self.get(name).await?;
        let file = manifest.file(path).cloned();
        file.ok_or_else(|| Error::NotFound(format!("dataset {name} has no file {path:?}")))
    }

    /// The content of a file, or a range of it.
    ///
    /// # Errors
    /// When it cannot be read now.
    pub async fn open(&self, file: &File, range: Option<Bytes<u64>>) -> Result<(BlobInfo, ByteStream), Error> {
        Ok(self.blobs.get(&file.blob, range).await?)
    }
}

pub(super) fn absent(name: &Name) -> Error {
    Error::NotFound(format!("there is no dataset {name}"))
}
