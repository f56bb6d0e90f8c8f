//! A content that goes on with another holder, at the same offset, when one breaks off; and is verified as a whole.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};

use crate::store::ByteStream;
use crate::{BlobInfo, Error, Result};

/// Times that a content may break off in a row without a byte in between.
const MAX_BREAKS: u32 = 4;

/// Opens a blob at an offset, wherever it can be had.
#[async_trait]
pub(crate) trait Source: Debug + Send + Sync + 'static {
    /// The content from `start` to `end`. A holder of which `broken` tells is avoided.
    async fn open(&self, info: &BlobInfo, start: u64, end: u64, broken: &mut Broken) -> Result<ByteStream>;
}

/// Holders that broke off, and why.
#[derive(Debug, Default)]
pub(crate) struct Broken {
    /// The one that is read now.
    pub(crate) current: Option<String>,
    /// Those that failed.
    pub(crate) holders: Vec<String>,
}

struct Reading {
    source: Arc<dyn Source>,
    info: BlobInfo,
    at: u64,
    end: u64,
    /// Checksum of what was read of a whole content.
    crc32c: Option<u32>,
    content: Option<ByteStream>,
    broken: Broken,
    breaks: u32,
}

/// Goes on from `content`, which was opened at `start`.
pub(crate) fn resuming(
    source: Arc<dyn Source>,
    info: BlobInfo,
    (start, end): (u64, u64),
    content: ByteStream,
    broken: Broken,
) -> ByteStream {
    let whole = start == 0 && end == info.bytes;
    let reading = Reading {
        source,
        crc32c: (whole && info.crc32c.is_some()).then_some(0),
        info,
        at: start,
        end,
        content: Some(content),
        broken,
        breaks: 0,
    };
    stream::try_unfold(reading, |mut reading| async move {
        let next = reading.next().await?;
        Ok(next.map(|piece| (piece, reading)))
    })
    .boxed()
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        while self.at < self.end {
            let piece = match &mut self.content {
                Some(content) => content.next().await,
                None => {
                    self.content = Some(self.source.open(&self.info, self.at, self.end, &mut self.broken).await?);
                    continue;
                }
            };
            match piece {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(mut piece)) => {
                    // A holder that sends more than it was asked for is cut short.
                    piece.truncate(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
                    self.at += piece.len() as u64;
                    self.breaks = 0;
                    self.crc32c = self.crc32c.map(|before| crc32c::crc32c_append(before, &piece));
                    return Ok(Some(piece));
                }
                Some(Err(error)) => self.broke(&error.to_string())?,
                None => self.broke("it ended early")?,
            }
        }
        match (self.crc32c, self.info.crc32c) {
            (Some(read), Some(written)) if read != written => Err(self.damaged("its checksum does not match")),
            _ => Ok(None),
        }
    }

    fn broke(&mut self, why: &str) -> Result<()> {
        self.content = None;
        self.breaks += 1;
        let holder = self.broken.current.take().unwrap_or_default();
        tracing::warn!(
            blob = self.info.name,
            at = self.at,
            holder,
            why,
            "a blob broke off; going on elsewhere"
        );
        self.broken.holders.push(holder);
        if self.breaks > MAX_BREAKS {
            return Err(self.damaged(why));
        }
        Ok(())
    }

    fn damaged(&self, detail: &str) -> Error {
        Error::Damaged {
            name: self.info.name.clone(),
            detail: detail.to_owned(),
        }
    }
}
