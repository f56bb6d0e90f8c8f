//! A store as the decoder of a text sees it: files are unpacked, and looked at by a [`Guard`] before they are decoded.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::confined::read_only;
use crate::files::guard::{Guard, Refusal};
use crate::files::opened::{self, STORE};
use crate::files::reading::Reading;

/// Where a part of a file ended, and the guard as it stood there.
type Ends = Arc<Mutex<HashMap<Path, (u64, Guard)>>>;

/// A store of texts, for one scan.
#[derive(Debug)]
pub(super) struct TextStore {
    store: Arc<dyn ObjectStore>,
    reading: Reading,
    pool: Arc<dyn MemoryPool>,
    /// A reader of a part fetches on, in small pieces, until its last record ends: to the guard that is one record.
    ends: Ends,
}

impl TextStore {
    pub(super) fn new(store: Arc<dyn ObjectStore>, reading: Reading, pool: Arc<dyn MemoryPool>) -> Self {
        Self {
            store,
            reading,
            pool,
            ends: Ends::default(),
        }
    }

    fn guard(&self, location: &Path, start: u64) -> Guard {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        match ends.remove(location) {
            Some((end, guard)) if end == start => guard,
            _ => Guard::new(self.reading.framing, self.reading.batch_rows, start > 0, &self.pool),
        }
    }
}

impl fmt::Display for TextStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

fn refused(refusal: Refusal) -> Error {
    Error::Generic {
        store: STORE,
        source: match refusal {
            Refusal::Text(error) => Box::new(error),
            Refusal::Memory(error) => Box::new(error),
        },
    }
}

fn guarded(
    text: BoxStream<'static, Result<Bytes>>,
    guard: Guard,
    ends: Ends,
    end: (Path, u64),
) -> BoxStream<'static, Result<Bytes>> {
    let next = |(mut text, mut guard, ends, end): (BoxStream<'static, Result<Bytes>>, Guard, Ends, (Path, u64))| async move {
        // A file of nothing but empty lines makes no rows, and would never let others run.
        tokio::task::coop::consume_budget().await;
        match text.try_next().await? {
            Some(piece) => {
                guard.pass(&piece).map_err(refused)?;
                Ok(Some((piece, (text, guard, ends, end))))
            }
            None => {
                guard.rest();
                let mut ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
                ends.insert(end.0, (end.1, guard));
                Ok(None)
            }
        }
    };
    stream::try_unfold((text, guard, ends, end), next).boxed()
}

#[async_trait]
impl ObjectStore for TextStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let object = self.store.get_opts(location, options).await?;
        if head {
            return Ok(object);
        }
        let (meta, range, attributes) = (object.meta.clone(), object.range.clone(), object.attributes.clone());
        let guard = self.guard(location, range.start);
        let text = opened::text(object, self.reading.compression);
        let end = (location.clone(), range.end);
        Ok(GetResult {
            payload: GetResultPayload::Stream(guarded(text, guard, Arc::clone(&self.ends), end)),
            meta,
            range,
            attributes,
        })
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
