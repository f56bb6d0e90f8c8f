//! Storing a blob as an object: at once when it is small, in parts when it is not.

use std::io;

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::{MultipartUpload, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::{Objects, failed};
use crate::{BlobInfo, BlobStore, Content, Error, Result, content};

/// Bytes of a part: with the 10,000 parts that S3 allows, blobs may have 160 GB.
const PART: usize = 16 << 20;

type Pieces = BoxStream<'static, io::Result<Bytes>>;

impl Objects {
    pub(super) async fn write(&self, name: &str, content: Content) -> Result<BlobInfo> {
        let mut pieces = match content {
            Content::File(path) => {
                let opened = content::open(&path).await;
                opened.map_err(|error| source(name, &error))?.1
            }
            Content::Stream(stream) => stream,
        };
        match self.stat(name).await {
            Ok(held) => return self.compare(name, &held, pieces).await,
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let first = part(name, &mut pieces).await?;
        if first.len() < PART {
            return self.write_at_once(name, first).await;
        }
        let location = self.path(name);
        let mut upload = self
            .store
            .put_multipart(&location)
            .await
            .map_err(|error| failed(name, error))?;
        match send_parts(name, &mut *upload, first, &mut pieces).await {
            Ok(bytes) => {
                upload.complete().await.map_err(|error| failed(name, error))?;
                Ok(BlobInfo {
                    name: name.to_owned(),
                    bytes: bytes.0,
                    crc32c: Some(bytes.1),
                })
            }
            Err(error) => {
                if let Err(error) = upload.abort().await {
                    tracing::warn!(blob = name, %error, "the parts of a broken upload are left in the object store");
                }
                Err(error)
            }
        }
    }

    async fn write_at_once(&self, name: &str, content: Bytes) -> Result<BlobInfo> {
        let info = BlobInfo {
            name: name.to_owned(),
            bytes: content.len() as u64,
            crc32c: Some(crc32c::crc32c(&content)),
        };
        let options = PutOptions::from(PutMode::Create);
        let payload = PutPayload::from(content.clone());
        match self.store.put_opts(&self.path(name), payload, options).await {
            Ok(_) => Ok(info),
            Err(object_store::Error::AlreadyExists { .. }) => {
                let held = self.stat(name).await?;
                self.compare(name, &held, futures::stream::once(async move { Ok(content) }).boxed())
                    .await
            }
            Err(error) => Err(failed(name, error)),
        }
    }

    /// The same content again is no error. Seldom needed: somebody repeats what had an unknown outcome.
    async fn compare(&self, name: &str, held: &BlobInfo, mut pieces: Pieces) -> Result<BlobInfo> {
        let conflict = || Error::Conflict(name.to_owned());
        let (mut bytes, mut crc32c) = (0u64, 0);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| source(name, &error))?;
            bytes += piece.len() as u64;
            crc32c = crc32c::crc32c_append(crc32c, &piece);
            if bytes > held.bytes {
                return Err(conflict());
            }
        }
        if bytes < held.bytes {
            return Err(conflict());
        }
        let (_, content) = self.get(name, None).await?;
        let there = content.try_fold(0, |before, piece| {
            std::future::ready(Ok(crc32c::crc32c_append(before, &piece)))
        });
        if there.await? != crc32c {
            return Err(conflict());
        }
        Ok(BlobInfo {
            crc32c: Some(crc32c),
            ..held.clone()
        })
    }
}

/// Sends all parts, one after the other; how many bytes they had, and their checksum.
async fn send_parts(name: &str, upload: &mut dyn MultipartUpload, first: Bytes, pieces: &mut Pieces) -> Result<(u64, u32)> {
    let (mut bytes, mut crc32c, mut next) = (0, 0, first);
    while !next.is_empty() {
        bytes += next.len() as u64;
        crc32c = crc32c::crc32c_append(crc32c, &next);
        let sending = upload.put_part(PutPayload::from(next));
        // One part is read while one is sent.
        let (sent, read) = tokio::join!(sending, part(name, pieces));
        sent.map_err(|error| failed(name, error))?;
        next = read?;
    }
    Ok((bytes, crc32c))
}

/// The next part; shorter only at the end.
async fn part(name: &str, pieces: &mut Pieces) -> Result<Bytes> {
    let mut part = BytesMut::new();
    while part.len() < PART {
        match pieces.next().await {
            Some(piece) => part.extend_from_slice(&piece.map_err(|error| source(name, &error))?),
            None => break,
        }
    }
    Ok(part.freeze())
}

fn source(name: &str, error: &io::Error) -> Error {
    Error::Source {
        name: name.to_owned(),
        detail: error.to_string(),
    }
}
