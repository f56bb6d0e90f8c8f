//! A content that is looked at as it passes by.

use std::io;
use std::sync::Arc;

use blobs::{BlobInfo, BlobStore};
use bytes::Bytes;
use formats::inspect::{FOOTER_BYTES, FileFormat, FileKind, Footer, Inspection, Inspector, NotThat};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;

use super::Error;

/// Looks at a file while it is stored.
#[derive(Debug, Clone)]
pub(super) struct Inspected {
    kind: FileKind,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    inspector: Option<Inspector>,
    refused: Option<NotThat>,
}

impl Inspected {
    pub(super) fn new(kind: FileKind) -> Self {
        let state = State {
            inspector: Some(Inspector::new(kind)),
            refused: None,
        };
        Self {
            kind,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The same content, which breaks off when it is not what it claims to be.
    pub(super) fn around(&self, content: BoxStream<'static, io::Result<Bytes>>) -> BoxStream<'static, io::Result<Bytes>> {
        let state = Arc::clone(&self.state);
        content
            .and_then(move |piece| {
                let mut state = state.lock();
                let fed = state.inspector.as_mut().map_or(Ok(()), |inspector| inspector.feed(&piece));
                let outcome = fed.map(|()| piece).map_err(|refused| {
                    state.refused = Some(refused.clone());
                    io::Error::new(io::ErrorKind::InvalidData, refused)
                });
                std::future::ready(outcome)
            })
            .boxed()
    }

    /// Why it broke off, if it did so here.
    pub(super) fn refused(&self) -> Option<NotThat> {
        self.state.lock().refused.clone()
    }

    /// What the file is, now that it is stored.
    pub(super) async fn finish(self, blobs: &dyn BlobStore, info: &BlobInfo) -> Result<Inspection, Error> {
        let inspector = self.state.lock().inspector.take();
        let told = inspector
            .map_or(Ok(None), Inspector::finish)
            .map_err(|refused| self.not_that(&refused))?;
        match told {
            Some(inspection) => Ok(inspection),
            None => self.footer(blobs, info).await,
        }
    }

    async fn footer(&self, blobs: &dyn BlobStore, info: &BlobInfo) -> Result<Inspection, Error> {
        let end = info.bytes.saturating_sub(FOOTER_BYTES);
        let last = read(blobs, &info.name, end..info.bytes).await?;
        let footer = Footer::parse(&last, info.bytes).map_err(|refused| self.not_that(&refused))?;
        let metadata = read(blobs, &info.name, end - footer.metadata_bytes()..end).await?;
        footer.inspect(&metadata).map_err(|refused| self.not_that(&refused))
    }

    pub(super) fn not_that(&self, refused: &NotThat) -> Error {
        let article = if self.kind.format == FileFormat::Ndjson { "an" } else { "a" };
        Error::Invalid(format!(
            "the file is not {article} {} file: {refused}; nothing was stored",
            self.kind.format
        ))
    }
}

async fn read(blobs: &dyn BlobStore, name: &str, range: std::ops::Range<u64>) -> Result<Vec<u8>, Error> {
    let (_, content) = blobs.get(name, Some(range)).await?;
    let pieces: Vec<Bytes> = content.try_collect().await?;
    Ok(pieces.concat())
}
