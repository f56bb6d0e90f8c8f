//! What is to be stored.

use std::fmt;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use tokio::fs::File;
use tokio_util::io::ReaderStream;

/// Bytes read from a file at once.
const CHUNK: usize = 256 * 1024;

/// The content of a blob.
pub enum Content {
    /// A file, which can be sent again as often as needed. It must not change meanwhile.
    File(PathBuf),
    /// A stream, which can be sent once.
    Stream(BoxStream<'static, io::Result<Bytes>>),
}

impl Content {
    /// A content in memory.
    #[must_use]
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::Stream(stream::once(async move { Ok(bytes) }).boxed())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// A file as a stream, with its size.
pub(crate) async fn open(path: &PathBuf) -> io::Result<(u64, BoxStream<'static, io::Result<Bytes>>)> {
    let mut file = File::open(path).await?;
    let bytes = file.metadata().await?.len();
    file.set_max_buf_size(CHUNK);
    Ok((bytes, ReaderStream::with_capacity(file, CHUNK).boxed()))
}
