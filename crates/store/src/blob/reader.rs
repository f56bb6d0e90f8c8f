//! Reading a blob: every block is verified before it is handed out.

use std::io::SeekFrom;
use std::ops::Range;
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
    /// The block that the file stands before.
    next: usize,
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
            next: 0,
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
        let whole = 0..self.trailer.len;
        self.into_range(whole)
    }

    /// A part of the content; what lies behind its end is left out. Each block is verified whole.
    pub fn into_range(self, range: Range<u64>) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        let end = range.end.min(self.trailer.len);
        stream::try_unfold((self, range.start), move |(mut reader, at)| async move {
            if at >= end {
                return Ok(None);
            }
            // A file has fewer blocks than there are addresses.
            let index = (at / BLOCK as u64) as usize;
            let Some(mut block) = reader.read_block(index).await? else {
                return Ok(None);
            };
            let first = index as u64 * BLOCK as u64;
            // Within a block, which is small.
            block.truncate((end - first).min(BLOCK as u64) as usize);
            let block = block.split_off((at - first) as usize);
            Ok(Some((block, (reader, first + BLOCK as u64))))
        })
    }

    async fn read_block(&mut self, index: usize) -> Result<Option<Bytes>, Error> {
        let Some(checksum) = self.trailer.blocks.get(index) else {
            return Ok(None);
        };
        if index != self.next {
            let place = SeekFrom::Start((index * BLOCK) as u64);
            self.file.seek(place).await.map_err(|error| Error::Damaged {
                name: self.name.clone(),
                detail: format!("block {index} cannot be found: {error}"),
            })?;
        }
        self.next = index + 1;
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
