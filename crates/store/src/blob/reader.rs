//! Reading a blob: every block is verified before it is handed out.

use std::io::SeekFrom;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures::{Stream, stream};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::error::Error;
use super::format::{BLOCK, FOOTER, Trailer};
use super::name::BlobName;
use super::store::BlobInfo;

/// An open blob. Reads on although the blob is deleted meanwhile.
#[derive(Debug)]
pub struct BlobReader {
    name: BlobName,
    file: File,
    trailer: Trailer,
}

impl BlobReader {
    /// Opens the file of a blob and verifies its checksums' own checksum.
    pub(super) async fn open(name: &BlobName, path: &Path) -> Result<Self, Error> {
        let mut file = File::open(path).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::NotFound(name.clone()),
            _ => Error::io("open", path)(error),
        })?;
        let damaged = |detail: String| Error::Damaged {
            name: name.clone(),
            detail,
        };
        let file_len = file.metadata().await.map_err(Error::io("inspect", path))?.len();
        if file_len < FOOTER as u64 {
            return Err(damaged(format!("the file has only {file_len} bytes")));
        }
        let mut footer = [0; FOOTER];
        file.seek(SeekFrom::Start(file_len - FOOTER as u64))
            .await
            .map_err(Error::io("read", path))?;
        file.read_exact(&mut footer).await.map_err(Error::io("read", path))?;
        let (len, crc32c, rest) = Trailer::decode_footer(&footer, file_len).map_err(damaged)?;
        let mut bytes = vec![0; rest];
        file.seek(SeekFrom::Start(len)).await.map_err(Error::io("read", path))?;
        file.read_exact(&mut bytes).await.map_err(Error::io("read", path))?;
        let trailer = Trailer::decode(&bytes, len, crc32c).map_err(damaged)?;
        file.rewind().await.map_err(Error::io("read", path))?;
        file.set_max_buf_size(BLOCK);
        Ok(Self {
            name: name.clone(),
            file,
            trailer,
        })
    }

    /// What is known of the blob without reading it.
    #[must_use]
    pub fn info(&self) -> BlobInfo {
        BlobInfo {
            name: self.name.clone(),
            bytes: self.trailer.len,
            crc32c: self.trailer.crc32c,
        }
    }

    /// The content, in verified blocks; ends with the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        stream::try_unfold((self, 0usize), |(mut reader, index)| async move {
            let Some(block) = reader.read_block(index).await? else {
                return Ok(None);
            };
            Ok(Some((block, (reader, index + 1))))
        })
    }

    /// The next block; they are read in order.
    async fn read_block(&mut self, index: usize) -> Result<Option<Bytes>, Error> {
        let Some(checksum) = self.trailer.blocks.get(index) else {
            return Ok(None);
        };
        let left = self.trailer.len - (index * BLOCK) as u64;
        let len = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        let mut block = BytesMut::zeroed(len);
        let damaged = |detail: String| Error::Damaged {
            name: self.name.clone(),
            detail,
        };
        self.file
            .read_exact(&mut block)
            .await
            .map_err(|error| damaged(format!("block {index} cannot be read: {error}")))?;
        if crc32c::crc32c(&block) == *checksum {
            Ok(Some(block.freeze()))
        } else {
            Err(damaged(format!("the checksum of block {index} does not match")))
        }
    }
}
