//! Taking in a file.

use std::io;
use std::str::FromStr;

use api::dataset::Uploaded;
use api::job::Column;
use blobs::Content;
use bytes::Bytes;
use formats::inspect::{Field, FileFormat, FileKind, Inspection, merge};
use futures::stream::BoxStream;
use uuid::Uuid;

use super::change::{Change, lost, now_ms};
use super::inspected::Inspected;
use super::intent::Intent;
use super::names::check_path;
use super::{Datasets, Error, File, MAX_FILES, Manifest, Name};

/// What is to be stored where.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The dataset, which is made by its first file.
    pub dataset: Name,
    /// The file's path in it.
    pub path: String,
    /// Its format, where the extension does not tell.
    pub format: Option<String>,
    /// Refused when there is a file of that path.
    pub only_new: bool,
}

impl Datasets {
    /// Stores a file, looks at it, and makes it part of its dataset; whether it is new there.
    ///
    /// # Errors
    /// As [`Error`] says. Nothing of the file is visible then, but for an unknown outcome ([`control::Error::Timeout`]).
    pub async fn upload(&self, order: Upload, content: BoxStream<'static, io::Result<Bytes>>) -> Result<(Uploaded, bool), Error> {
        let Upload {
            dataset,
            path,
            format,
            only_new,
        } = order;
        check_path(&path)?;
        let kind = kind(&path, format.as_deref())?;
        // What is certain to be refused is refused before it is sent.
        let held = self.held(&dataset).await?.map(|(manifest, _)| manifest);
        allowed(held.as_ref(), &path, kind.format, only_new)?;

        let version = Uuid::now_v7().to_string();
        let blob = dataset.blob(&version, &path);
        let mut intent = Intent::declare(&self.store, &self.blobs, &version, &blob).await?;
        let inspected = Inspected::new(kind);
        let content = Content::Stream(inspected.around(content));
        let stored = tokio::select! {
            stored = self.blobs.put(&blob, content) => stored,
            () = intent.lost() => return Err(lost()),
        };
        let info = match (stored, inspected.refused()) {
            (Ok(info), _) => info,
            (Err(_), Some(refused)) => return Err(inspected.not_that(&refused)),
            (Err(blobs::Error::Source { detail, .. }), None) => {
                return Err(Error::Invalid(format!(
                    "the upload ended before it was whole ({detail}); nothing was stored, send it again"
                )));
            }
            (Err(error), None) => return Err(error.into()),
        };
        let inspection = inspected.finish(&*self.blobs, &info).await?;
        let file = File {
            path,
            blob,
            bytes: info.bytes,
            rows: inspection.rows,
        };
        // From here on it may have its place, also when the client goes and this ends anywhere: what has none is collected.
        intent.keep();
        let changed = self.change(&dataset, Some(&intent), |held| {
            add(held, &dataset, &file, kind.format, &inspection, only_new)
        });
        let outcome = changed.await;
        if !matches!(outcome, Ok(_) | Err(Error::Store(_) | Error::Unavailable(_))) {
            intent.discard(&file.blob);
        }
        let created = outcome?;
        // It is stored, whether it can be looked at again or not.
        let held = self.held(&dataset).await.ok().flatten().map(|(manifest, _)| manifest);
        let (version, schema) = held.map_or((version, Vec::new()), |held| (held.version, held.schema));
        let uploaded = Uploaded {
            dataset: dataset.name().to_owned(),
            version,
            file: file.view(),
            schema,
        };
        Ok((uploaded, created))
    }
}

fn kind(path: &str, format: Option<&str>) -> Result<FileKind, Error> {
    match format {
        Some(format) => {
            let format = FileFormat::from_str(format).map_err(Error::Invalid)?;
            Ok(FileKind::with_format(format, path))
        }
        None => FileKind::of_path(path).ok_or_else(|| {
            Error::Invalid(format!(
                "the format of {path:?} cannot be told from its name: use .csv, .tsv, .ndjson, .jsonl or .parquet (texts also with .gz or .zst), \
                 or say ?format="
            ))
        }),
    }
}

/// Whether a dataset as it is takes such a file.
fn allowed(held: Option<&Manifest>, path: &str, format: FileFormat, only_new: bool) -> Result<(), Error> {
    let Some(held) = held else { return Ok(()) };
    let there = held.file(path).is_some();
    if there && only_new {
        return Err(Error::Precondition(format!(
            "dataset {} has a file {path:?} already",
            held.name
        )));
    }
    if !there && held.files.len() >= MAX_FILES {
        return Err(Error::TooLarge(format!(
            "dataset {} has {MAX_FILES} files, the most there may be; make them larger, or use more datasets",
            held.name
        )));
    }
    let only_this = there && held.files.len() == 1;
    if held.format != format.as_str() && !only_this {
        return Err(Error::Conflict(format!(
            "dataset {} has {} files, and this one is {format}: all files of a dataset have one format",
            held.name, held.format
        )));
    }
    Ok(())
}

/// The manifest with one more file; whether that is new.
fn add(
    held: Option<Manifest>,
    dataset: &Name,
    file: &File,
    format: FileFormat,
    inspection: &Inspection,
    only_new: bool,
) -> Result<Change<bool>, Error> {
    if let Some(held) = &held
        && held.file(&file.path).is_some_and(|known| known.blob == file.blob)
    {
        // Whether it replaced one nobody knows any more.
        return Ok(Change::Done(true));
    }
    allowed(held.as_ref(), &file.path, format, only_new)?;
    let mut next = held.unwrap_or_else(|| Manifest::new(dataset, format.as_str(), now_ms()));
    format.as_str().clone_into(&mut next.format);
    let alone = next.files.iter().all(|known| known.path == file.path);
    let fields = if alone {
        inspection.fields.clone()
    } else {
        let before: Vec<Field> = next.schema.iter().map(field).collect();
        let merged = merge(&before, &inspection.fields);
        merged.map_err(|refused| Error::Conflict(format!("the file does not fit into dataset {dataset}: {refused}")))?
    };
    next.schema = fields.into_iter().map(column).collect();
    let replaced = next.put(file.clone());
    Ok(Change::To(Some(next), !replaced))
}

pub(super) fn field(column: &Column) -> Field {
    Field {
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        nullable: column.nullable,
    }
}

pub(super) fn column(field: Field) -> Column {
    Column {
        name: field.name,
        data_type: field.data_type,
        nullable: field.nullable,
    }
}
