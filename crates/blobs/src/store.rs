//! The seam: what a store of blobs can do.

use std::fmt::Debug;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{Content, Result};

/// A content on its way; ends with the first error.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// What is known of a blob without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its name.
    pub name: String,
    /// Bytes of content.
    pub bytes: u64,
    /// crc32c of the content, where the store knows it.
    pub crc32c: Option<u32>,
}

/// A store of immutable, named blobs.
#[async_trait]
pub trait BlobStore: Debug + Send + Sync + 'static {
    /// Stores a blob; durable, with all its copies, when this returns. The same content under the same name is no error.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::Error::Conflict) when the name holds another content. After any other error nothing is
    /// promised, and the same may be stored again.
    async fn put(&self, name: &str, content: Content) -> Result<BlobInfo>;

    /// Opens a blob, or a range of it: what lies behind the end is left out, and one that begins there is
    /// [`Error::Range`](crate::Error::Range).
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound), or when no holder answers.
    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<(BlobInfo, ByteStream)>;

    /// What is known of a blob.
    ///
    /// # Errors
    /// As [`BlobStore::get`].
    async fn stat(&self, name: &str) -> Result<BlobInfo>;

    /// Removes a blob; whether there was one.
    ///
    /// # Errors
    /// When a holder did not answer, which may still have it.
    async fn delete(&self, name: &str) -> Result<bool>;

    /// Blobs whose names begin with a text, in order. Checksums are not told.
    fn list(&self, prefix: &str) -> BoxStream<'static, Result<BlobInfo>>;

    /// Hosts where a blob is likely near; none where that makes no difference.
    fn hosts(&self, _name: &str) -> Vec<String> {
        Vec::new()
    }
}
