//! Writing a blob: content into a temporary file, block by block, then everything durable.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;

use super::error::Error;
use super::format::{BLOCK, Trailer};
use super::index::Index;
use super::name::BlobName;
use super::space::Claim;

/// A temporary file, removed when the writer gives up at any point.
#[derive(Debug)]
pub(super) struct Temporary(pub(super) PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Usually it is already in its place. What stays after a crash is removed at the next start.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes `content` to a new file at `path` and syncs it; gives its size too.
pub(super) async fn write<S, E>(
    name: &BlobName,
    path: &Path,
    content: S,
    mut claim: Claim<'_>,
    index: &Index,
) -> Result<(Temporary, Trailer, u64), Error>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut file = File::create_new(path).await.map_err(failed("create", path))?;
    let temporary = Temporary(path.to_owned());
    file.set_max_buf_size(BLOCK);
    let mut trailer = Trailer::default();
    let mut block = BytesMut::new();
    let mut content = std::pin::pin!(content);
    while let Some(piece) = content.next().await {
        let mut piece = piece.map_err(|error| Error::Source {
            name: name.clone(),
            source: error.into(),
        })?;
        while !piece.is_empty() {
            let taken = piece.split_to(piece.len().min(BLOCK - block.len()));
            block.extend_from_slice(&taken);
            if block.len() == BLOCK {
                claim.grow(block.len() as u64, index.totals().1)?;
                trailer.push(&block);
                file.write_all(&block).await.map_err(failed("write", path))?;
                block.clear();
            }
        }
    }
    let end = trailer.encode_after(&block);
    claim.grow((block.len() + end.len()) as u64, index.totals().1)?;
    file.write_all(&block).await.map_err(failed("write", path))?;
    file.write_all(&end).await.map_err(failed("write", path))?;
    file.sync_all().await.map_err(failed("sync", path))?;
    let file_bytes = trailer.len + end.len() as u64;
    Ok((temporary, trailer, file_bytes))
}

/// A full disk is told from a broken one.
fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::NoSpace("the disk is full; free some of it, or add an auxiliary".to_owned())
        }
        _ => Error::io(action, path)(error),
    }
}

/// Makes the names in a directory durable.
pub(super) async fn sync_directory(path: &Path) -> Result<(), Error> {
    let directory = File::open(path).await.map_err(Error::io("open", path))?;
    directory.sync_all().await.map_err(Error::io("sync", path))
}

/// Puts a finished file into its place, whatever is there.
pub(super) async fn replace(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).await.map_err(Error::io("replace", to))
}

/// Puts a finished file into its place; false when there is one already.
pub(super) async fn link(from: &Path, to: &Path) -> Result<bool, Error> {
    match fs::hard_link(from, to).await {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Error::io("link", to)(error)),
    }
}
