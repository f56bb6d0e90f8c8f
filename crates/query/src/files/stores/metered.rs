//! The stores as one task sees them: read-only, with a count of the bytes it asks for, and a guard before texts.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use url::Url;

use super::TextStore;
use super::confined::read_only;
use crate::files::reading::Reading;
use crate::run::Meter;

/// A registry whose stores count on a task's meter.
#[derive(Debug)]
pub(crate) struct Metered {
    registry: Arc<dyn ObjectStoreRegistry>,
    meter: Arc<Meter>,
    pool: Arc<dyn MemoryPool>,
}

impl Metered {
    pub(crate) fn new(registry: Arc<dyn ObjectStoreRegistry>, meter: Arc<Meter>, pool: Arc<dyn MemoryPool>) -> Self {
        Self { registry, meter, pool }
    }

    fn metered(&self, url: &Url) -> datafusion::error::Result<Arc<dyn ObjectStore>> {
        let store = self.registry.get_store(url)?;
        let meter = Arc::clone(&self.meter);
        Ok(Arc::new(MeteredStore { store, meter }))
    }
}

impl ObjectStoreRegistry for Metered {
    fn register_store(&self, _url: &Url, _store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> datafusion::error::Result<Arc<dyn ObjectStore>> {
        match Reading::of(url) {
            Some((reading, plain)) => Ok(Arc::new(TextStore::new(
                self.metered(&plain)?,
                reading,
                Arc::clone(&self.pool),
            ))),
            None => self.metered(url),
        }
    }
}

#[derive(Debug)]
struct MeteredStore {
    store: Arc<dyn ObjectStore>,
    meter: Arc<Meter>,
}

impl fmt::Display for MeteredStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for MeteredStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let result = self.store.get_opts(location, options).await?;
        if !head {
            self.meter.add_read(result.range.end - result.range.start);
        }
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let parts = self.store.get_ranges(location, ranges).await?;
        self.meter.add_read(parts.iter().map(|part| part.len() as u64).sum());
        Ok(parts)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
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
