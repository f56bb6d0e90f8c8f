//! The engine's only way to files: read-only, and confined to the data directories.
//!
//! Planning resolves and checks paths, but a plan may run later, elsewhere, after a link has changed, or come from a peer that
//! should not be trusted with the whole disk. So every opening checks again.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::files::DataDirs;

/// Files under the data directories, for reading.
#[derive(Debug)]
pub(crate) struct ConfinedFiles {
    files: LocalFileSystem,
    dirs: DataDirs,
}

impl ConfinedFiles {
    pub(crate) fn new(dirs: DataDirs) -> Self {
        Self {
            files: LocalFileSystem::new(),
            dirs,
        }
    }

    /// The same file by the name it resolves to, if that is inside.
    fn check(&self, location: &Path) -> Result<Path> {
        let path: PathBuf = self.files.path_to_filesystem(location)?;
        let real = path.canonicalize().map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Error::NotFound {
                path: path.display().to_string(),
                source: Box::new(source),
            },
            _ => Error::Generic {
                store: "file",
                source: Box::new(source),
            },
        })?;
        if !self.dirs.contains(&real) {
            let source = format!("{} is outside the data directories", path.display()).into();
            return Err(Error::PermissionDenied {
                path: location.to_string(),
                source,
            });
        }
        Path::from_absolute_path(real).map_err(Error::from)
    }
}

impl fmt::Display for ConfinedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("data directories")
    }
}

pub(super) fn read_only<T>(operation: &str) -> Result<T> {
    Err(Error::NotSupported {
        source: format!("tables are read-only: {operation} refused").into(),
    })
}

#[async_trait]
impl ObjectStore for ConfinedFiles {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut result = self.files.get_opts(&self.check(location)?, options).await?;
        result.meta.location = location.clone();
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.files.get_ranges(&self.check(location)?, ranges).await
    }

    fn list(&self, _prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::once(async { read_only("listing") }).boxed()
    }

    async fn list_with_delimiter(&self, _prefix: Option<&Path>) -> Result<ListResult> {
        read_only("listing")
    }

    async fn put_opts(&self, _location: &Path, _payload: PutPayload, _options: PutOptions) -> Result<PutResult> {
        read_only("writing")
    }

    async fn put_multipart_opts(&self, _location: &Path, _options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        read_only("writing")
    }

    fn delete_stream(&self, _locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        stream::once(async { read_only("deleting") }).boxed()
    }

    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        read_only("copying")
    }
}
