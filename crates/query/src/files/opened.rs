//! The bytes of a text file, unpacked.
//!
//! Not by the engine: its decoders take as large a window as a file asks for, and those of streams stop behind the first of the
//! members that parallel compressors write.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use api::job::Compression;
use async_compression::tokio::bufread::{BzDecoder, GzipDecoder, XzDecoder, ZstdDecoder};
use bytes::Bytes;
use datafusion::object_store::{Error, GetResult, GetResultPayload, Result};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

/// The name of this store in its errors.
pub(crate) const STORE: &str = "text";

const CHUNK_BYTES: usize = 128 << 10;
/// What unpacking one file may take: `xz -9` needs 65 MiB; more than this a file can only have been made to need. The others are
/// bounded by their formats (bzip2, gzip) or their library (zstd: windows of 128 MiB).
const XZ_BYTES: u64 = 128 << 20;

/// The text of an object.
pub(super) fn text(object: GetResult, compression: Compression) -> BoxStream<'static, Result<Bytes>> {
    let packed = match object.payload {
        GetResultPayload::File(file, _) => chunks(file, object.range),
        GetResultPayload::Stream(stream) => stream,
    };
    if compression == Compression::None {
        return packed;
    }
    let reader = StreamReader::new(packed.map_err(io::Error::other));
    match compression {
        Compression::None => unpacked(reader),
        Compression::Gzip => {
            let mut decoder = GzipDecoder::new(reader);
            decoder.multiple_members(true);
            unpacked(decoder)
        }
        Compression::Zstd => {
            let mut decoder = ZstdDecoder::new(reader);
            decoder.multiple_members(true);
            unpacked(decoder)
        }
        Compression::Bzip2 => {
            let mut decoder = BzDecoder::new(reader);
            decoder.multiple_members(true);
            unpacked(decoder)
        }
        Compression::Xz => {
            let mut decoder = XzDecoder::with_mem_limit(reader, XZ_BYTES);
            decoder.multiple_members(true);
            unpacked(decoder)
        }
    }
}

fn unpacked(decoder: impl AsyncRead + Send + 'static) -> BoxStream<'static, Result<Bytes>> {
    ReaderStream::with_capacity(decoder, CHUNK_BYTES).map_err(of_store).boxed()
}

/// What the store behind the decoder said, if it was that; otherwise what the decoder says of the file.
fn of_store(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => {
            // Codecs have no kind of error for it.
            let needs_more = error.to_string().to_lowercase().contains("memory");
            let refusal = match needs_more {
                true => crate::Error::TooLarge(format!(
                    "unpacking the file takes more than {} MiB: compress it with a smaller window ({error})",
                    XZ_BYTES >> 20
                )),
                false => crate::Error::Invalid(format!("the file is damaged or cut short: {error}")),
            };
            Error::Generic {
                store: STORE,
                source: Box::new(refusal),
            }
        }
    }
}

/// Reads where it is polled, as the engine does: files are on disks of this machine.
fn chunks(file: std::fs::File, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
    let state = (file, range.start, range.end);
    let read = |(mut file, at, end): (std::fs::File, u64, u64)| async move {
        if at >= end {
            return Ok(None);
        }
        let wanted = (end - at).min(CHUNK_BYTES as u64);
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let read = file
            .seek(SeekFrom::Start(at))
            .and_then(|_| (&mut file).take(wanted).read_to_end(&mut chunk));
        let read = read.map_err(|source| Error::Generic {
            store: "file",
            source: Box::new(source),
        })?;
        Ok((read > 0).then(|| (Bytes::from(chunk), (file, at + read as u64, end))))
    };
    stream::try_unfold(state, read).boxed()
}
