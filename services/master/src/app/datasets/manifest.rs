//! What the control store keeps of a dataset.

use api::dataset::{Dataset, DatasetFile, DatasetSummary};
use api::job::Column;
use control::KeyValue;
use serde::{Deserialize, Serialize};

use super::{Error, MAX_FILES, MAX_MANIFEST_BYTES, Name};

/// Value of a dataset's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its name.
    pub name: String,
    /// Its namespace; empty is the default one.
    #[serde(default)]
    pub namespace: String,
    /// New with every change.
    pub version: String,
    /// Format of all files.
    pub format: String,
    /// By path.
    pub files: Vec<File>,
    /// Columns of all files together.
    pub schema: Vec<Column>,
    /// When it began, Unix milliseconds.
    pub created_at_ms: u64,
    /// Its last change, Unix milliseconds.
    pub modified_at_ms: u64,
}

/// A file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path in the dataset.
    pub path: String,
    /// The blob that holds it.
    pub blob: String,
    /// Its size.
    pub bytes: u64,
    /// How many rows it has, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

impl Manifest {
    /// Without files.
    pub(super) fn new(name: &Name, format: &str, now_ms: u64) -> Self {
        Self {
            name: name.name().to_owned(),
            namespace: name.namespace().to_owned(),
            version: String::new(),
            format: format.to_owned(),
            files: Vec::new(),
            schema: Vec::new(),
            created_at_ms: now_ms,
            modified_at_ms: now_ms,
        }
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Rows of all files, where all are known.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Puts a file in its place; whether there was one of that path.
    pub(super) fn put(&mut self, file: File) -> bool {
        match self.files.binary_search_by(|known| known.path.cmp(&file.path)) {
            Ok(place) => {
                self.files[place] = file;
                true
            }
            Err(place) => {
                self.files.insert(place, file);
                false
            }
        }
    }

    /// A file by its path.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&File> {
        let place = self.files.binary_search_by(|known| known.path.as_str().cmp(path));
        place.ok().map(|place| &self.files[place])
    }

    pub(super) fn read(entry: &KeyValue) -> Result<Self, Error> {
        serde_json::from_slice(&entry.value).map_err(|source| Error::Manifest {
            key: entry.key.clone(),
            source,
        })
    }

    /// As it is kept, if it may be that large.
    pub(super) fn encode(&self) -> Result<Vec<u8>, Error> {
        if self.files.len() > MAX_FILES {
            return Err(Error::TooLarge(format!(
                "a dataset has at most {MAX_FILES} files; make them larger, or use more datasets"
            )));
        }
        let encoded = serde_json::to_vec(self).map_err(|source| Error::Manifest {
            key: self.name.clone(),
            source,
        })?;
        if encoded.len() > MAX_MANIFEST_BYTES {
            return Err(Error::TooLarge(format!(
                "the list of the dataset's files and columns would be larger than {MAX_MANIFEST_BYTES} bytes; use fewer files, shorter paths or \
                 fewer columns"
            )));
        }
        Ok(encoded)
    }

    /// As clients see it.
    #[must_use]
    pub fn view(&self) -> Dataset {
        Dataset {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            version: self.version.clone(),
            format: self.format.clone(),
            schema: self.schema.clone(),
            rows: self.rows(),
            bytes: self.bytes(),
            files: self.files.iter().map(File::view).collect(),
            created_at_ms: self.created_at_ms,
            modified_at_ms: self.modified_at_ms,
        }
    }

    pub(super) fn summary(&self) -> DatasetSummary {
        DatasetSummary {
            name: self.name.clone(),
            format: self.format.clone(),
            files: self.files.len() as u64,
            rows: self.rows(),
            bytes: self.bytes(),
            modified_at_ms: self.modified_at_ms,
        }
    }
}

impl File {
    pub(super) fn view(&self) -> DatasetFile {
        DatasetFile {
            path: self.path.clone(),
            bytes: self.bytes,
            rows: self.rows,
        }
    }
}
