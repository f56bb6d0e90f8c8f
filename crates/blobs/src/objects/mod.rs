//! Blobs in an S3-compatible store, for those who already run one. Copies, checksums and repair are that store's.
//!
//! A blob is one object, written at once or in parts and visible only when complete. Nobody else may write under the prefix.

mod put;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::name::check_name;
use crate::reading::{Broken, Source, resuming};
use crate::{BlobInfo, BlobStore, ByteStream, Content, Error, Result};

/// Blobs as objects under a prefix. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: String,
}

impl Objects {
    /// Blobs under `prefix` (without slashes around it; empty for none) of a store.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self {
            store,
            prefix: prefix.trim_matches('/').to_owned(),
        }
    }

    fn path(&self, name: &str) -> Path {
        if self.prefix.is_empty() {
            Path::from(name)
        } else {
            Path::from(format!("{}/{name}", self.prefix))
        }
    }

    /// The blob that an object is; none when it is not under the prefix.
    fn name(&self, location: &Path) -> Option<String> {
        let name = location.as_ref().strip_prefix(&self.prefix)?;
        Some(name.trim_start_matches('/').to_owned())
    }
}

#[async_trait]
impl BlobStore for Objects {
    async fn put(&self, name: &str, content: Content) -> Result<BlobInfo> {
        check_name(name)?;
        self.write(name, content).await
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<(BlobInfo, ByteStream)> {
        check_name(name)?;
        if range.as_ref().is_some_and(|range| range.end <= range.start) {
            // Nothing that S3 could be asked for.
            return Ok((self.stat(name).await?, futures::stream::empty().boxed()));
        }
        let asked = range.clone().map(GetRange::Bounded);
        let range = range.unwrap_or(0..u64::MAX);
        let options = GetOptions::new().with_range(asked);
        let opened = match self.store.get_opts(&self.path(name), options).await {
            Ok(opened) => opened,
            Err(error) => {
                let error = failed(name, error);
                return Err(match (&error, self.stat(name).await) {
                    (Error::Unavailable(_), Ok(info)) if range.start >= info.bytes => Error::Range {
                        name: info.name,
                        bytes: info.bytes,
                        start: range.start,
                    },
                    _ => error,
                });
            }
        };
        let info = info(name, &opened.meta);
        let end = range.end.min(info.bytes);
        let content = contents(name, opened.into_stream());
        let content = resuming(
            Arc::new(self.clone()),
            info.clone(),
            (range.start, end),
            content,
            Broken::default(),
        );
        Ok((info, content))
    }

    async fn stat(&self, name: &str) -> Result<BlobInfo> {
        check_name(name)?;
        let meta = self.store.head(&self.path(name)).await.map_err(|error| failed(name, error))?;
        Ok(info(name, &meta))
    }

    async fn delete(&self, name: &str) -> Result<bool> {
        // S3 does not say whether there was one.
        match self.stat(name).await {
            Ok(_) => {}
            Err(Error::NotFound(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        self.store
            .delete(&self.path(name))
            .await
            .map_err(|error| failed(name, error))?;
        Ok(true)
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<BlobInfo>> {
        // Prefixes of the store are whole segments.
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let (this, prefix) = (self.clone(), prefix.to_owned());
        let all = self.store.list(Some(&self.path(folder)));
        all.map_err(|error| failed("", error))
            .try_filter_map(move |meta| {
                let name = this.name(&meta.location).filter(|name| name.starts_with(&prefix));
                std::future::ready(Ok(name.map(|name| info(&name, &meta))))
            })
            .boxed()
    }
}

#[async_trait]
impl Source for Objects {
    async fn open(&self, info: &BlobInfo, start: u64, end: u64, _: &mut Broken) -> Result<ByteStream> {
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(start..end)));
        let opened = self.store.get_opts(&self.path(&info.name), options).await;
        Ok(contents(
            &info.name,
            opened.map_err(|error| failed(&info.name, error))?.into_stream(),
        ))
    }
}

fn contents(name: &str, content: BoxStream<'static, object_store::Result<bytes::Bytes>>) -> ByteStream {
    let name = name.to_owned();
    content.map_err(move |error| failed(&name, error)).boxed()
}

fn info(name: &str, meta: &ObjectMeta) -> BlobInfo {
    BlobInfo {
        name: name.to_owned(),
        bytes: meta.size,
        crc32c: None,
    }
}

fn failed(name: &str, error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::NotFound(name.to_owned()),
        object_store::Error::AlreadyExists { .. } => Error::Conflict(name.to_owned()),
        other => Error::Unavailable(format!("the object store refused: {other}")),
    }
}
