//! What jobs do with datasets: they read one as it is at one moment, and what they write appears with their end.

use std::str::FromStr;

use api::JobId;
use api::dataset::blob_prefix;
use api::job::{Column, OutputMode, OutputSpec, TableFormat, TableSpec};
use api::task::PlanFile;
use bytes::Bytes;
use control::{Compare, Op};
use formats::inspect::{FileFormat, merge};
use uuid::Uuid;

use super::change::now_ms;
use super::upload::{column, field};
use super::{Datasets, Error, File, Manifest, Name};

/// A dataset as a job reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its version at that moment.
    pub version: String,
    /// Format of all files.
    pub format: FileFormat,
    /// Its columns.
    pub schema: Vec<Column>,
    /// Its files.
    pub files: Vec<PlanFile>,
}

impl Planned {
    /// Tells a table what the dataset knows of its files, where the user has not.
    pub fn fill(&self, spec: &mut TableSpec) {
        let format = match self.format {
            FileFormat::Csv | FileFormat::Tsv => TableFormat::Csv,
            FileFormat::Ndjson => TableFormat::Ndjson,
            FileFormat::Parquet => TableFormat::Parquet,
        };
        spec.format.get_or_insert(format);
        if self.format == FileFormat::Tsv {
            spec.options.delimiter.get_or_insert('\t');
        }
    }
}

/// A file that a job has written, as a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    /// The blob.
    pub blob: String,
    /// Its size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
}

/// The part of a job's last transaction that makes what it wrote a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitOps {
    /// Must hold. When one does not, although the job may still end: ask for all of this again.
    pub compares: Vec<Compare>,
    /// Is done then.
    pub then: Vec<Op>,
    /// The dataset's version afterwards.
    pub version: String,
}

/// Refusal to write a dataset that is to be new.
pub(super) fn there_already(name: &Name) -> Error {
    Error::Conflict(format!(
        "there is a dataset {name} already; use the mode \"replace\" or \"append\", or another name"
    ))
}

impl Datasets {
    /// The files of a dataset at one moment.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when the store does not answer.
    pub async fn plan_files(&self, namespace: &str, name: &str) -> Result<Planned, Error> {
        let name = Name::try_new(namespace, name)?;
        let manifest = self.get(&name).await?;
        let files = manifest.files.into_iter().map(|file| PlanFile {
            path: file.path,
            blob: file.blob,
            bytes: file.bytes,
        });
        Ok(Planned {
            version: manifest.version,
            format: FileFormat::from_str(&manifest.format).map_err(Error::Invalid)?,
            schema: manifest.schema,
            files: files.collect(),
        })
    }

    /// What the names of the blobs begin with that a job writes for a dataset: `Assignment::Run.dataset`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the dataset cannot have that name.
    pub fn output_prefix(namespace: &str, dataset: &str, job: JobId) -> Result<String, Error> {
        let name = Name::try_new(namespace, dataset)?;
        Ok(format!("{}{job}/", blob_prefix(namespace, name.name())))
    }

    /// What a job's last transaction compares and does so that its files are a dataset, or part of one.
    ///
    /// # Errors
    /// [`Error::Conflict`] when there is one that must not be, or that the files do not fit into; [`Error::TooLarge`].
    pub async fn commit_ops(
        &self,
        namespace: &str,
        output: &OutputSpec,
        job: JobId,
        written: &[WrittenFile],
        columns: &[Column],
    ) -> Result<CommitOps, Error> {
        let name = Name::try_new(namespace, &*output.dataset)?;
        let held = self.held(&name).await?;
        let key = name.key();
        let unchanged = match &held {
            Some((_, revision)) => Compare::ModRevision(key.clone(), *revision),
            None => Compare::Absent(key.clone()),
        };
        let fresh = || Manifest::new(&name, FileFormat::Parquet.as_str(), now_ms());
        let mut next = match (held.map(|(manifest, _)| manifest), output.mode) {
            (None, _) => fresh(),
            (Some(held), OutputMode::Replace) => Manifest {
                created_at_ms: held.created_at_ms,
                ..fresh()
            },
            (Some(_), OutputMode::Create) => {
                return Err(there_already(&name));
            }
            (Some(held), OutputMode::Append) if held.format != FileFormat::Parquet.as_str() => {
                return Err(Error::Conflict(format!(
                    "jobs write parquet files, and dataset {name} has {} files: nothing can be appended to it",
                    held.format
                )));
            }
            (Some(held), OutputMode::Append) => held,
        };
        let columns: Vec<_> = columns.iter().map(field).collect();
        let before: Vec<_> = next.schema.iter().map(field).collect();
        let merged = if before.is_empty() {
            Ok(columns)
        } else {
            merge(&before, &columns)
        };
        let merged = merged.map_err(|refused| Error::Conflict(format!("the rows do not fit into dataset {name}: {refused}")))?;
        next.schema = merged.into_iter().map(column).collect();
        for (part, file) in written.iter().enumerate() {
            next.put(File {
                path: format!("{job}-{part:05}.parquet"),
                blob: file.blob.clone(),
                bytes: file.bytes,
                rows: Some(file.rows),
            });
        }
        next.version = Uuid::now_v7().to_string();
        next.modified_at_ms = now_ms();
        let value = Bytes::from(next.encode()?);
        Ok(CommitOps {
            compares: vec![unchanged],
            then: vec![Op::Put { key, value, lease: None }],
            version: next.version,
        })
    }
}
