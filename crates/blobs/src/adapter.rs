//! Blobs as DataFusion reads files: `blob:///name`, read only.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::DateTime;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::{BlobInfo, BlobStore, Error};

/// A store of blobs as an object store that takes no writes. Paths are names of blobs.
#[must_use]
pub fn as_object_store(blobs: Arc<dyn BlobStore>) -> Arc<dyn ObjectStore> {
    Arc::new(Adapter { blobs })
}

#[derive(Debug)]
struct Adapter {
    blobs: Arc<dyn BlobStore>,
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("blobs")
    }
}

#[async_trait]
impl ObjectStore for Adapter {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(read_only())
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only())
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let name = location.as_ref();
        let range = match &options.range {
            _ if options.head => None,
            Some(GetRange::Bounded(range)) => Some(range.clone()),
            Some(GetRange::Offset(start)) => Some(*start..u64::MAX),
            // Only who knows the size can tell where it begins.
            Some(GetRange::Suffix(bytes)) => {
                let info = self.blobs.stat(name).await.map_err(translated)?;
                Some(info.bytes.saturating_sub(*bytes)..info.bytes)
            }
            None => None,
        };
        let (info, content) = if options.head {
            let info = self.blobs.stat(name).await.map_err(translated)?;
            (info, futures::stream::empty().boxed())
        } else {
            self.blobs.get(name, range.clone()).await.map_err(translated)?
        };
        let range = range.map_or(0..info.bytes, |Range { start, end }| start..end.min(info.bytes));
        let meta = meta(info)?;
        options.check_preconditions(&meta)?;
        Ok(GetResult {
            payload: GetResultPayload::Stream(content.map_err(translated).boxed()),
            meta,
            range,
            attributes: Attributes::new(),
        })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        locations.and_then(|_| std::future::ready(Err(read_only()))).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.below(prefix).map(|info| meta(info.map_err(translated)?)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let folder = folder(prefix);
        let mut all = self.below(prefix);
        let (mut objects, mut folders) = (Vec::new(), Vec::<Path>::new());
        while let Some(info) = all.next().await {
            let info = info.map_err(translated)?;
            match info.name[folder.len()..].split_once('/') {
                Some((below, _)) => {
                    let path = Path::parse(format!("{folder}{below}"))?;
                    if folders.last() != Some(&path) {
                        folders.push(path);
                    }
                }
                None => objects.push(meta(info)?),
            }
        }
        Ok(ListResult {
            common_prefixes: folders,
            objects,
        })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(read_only())
    }
}

impl Adapter {
    /// Prefixes are whole segments here, and any text there.
    fn below(&self, prefix: Option<&Path>) -> BoxStream<'static, crate::Result<BlobInfo>> {
        self.blobs.list(&folder(prefix))
    }
}

fn folder(prefix: Option<&Path>) -> String {
    prefix
        .filter(|prefix| !prefix.as_ref().is_empty())
        .map(|prefix| format!("{prefix}/"))
        .unwrap_or_default()
}

fn meta(info: BlobInfo) -> Result<ObjectMeta> {
    Ok(ObjectMeta {
        location: Path::parse(info.name)?,
        // Blobs never change, so any time will do.
        last_modified: DateTime::UNIX_EPOCH,
        size: info.bytes,
        e_tag: info.crc32c.map(crate::holder::tag),
        version: None,
    })
}

fn translated(error: Error) -> object_store::Error {
    match error {
        Error::NotFound(name) => object_store::Error::NotFound {
            path: name.clone(),
            source: Error::NotFound(name).into(),
        },
        other => object_store::Error::Generic {
            store: "blobs",
            source: other.into(),
        },
    }
}

fn read_only() -> object_store::Error {
    object_store::Error::NotSupported {
        source: "blobs are only read here".into(),
    }
}
