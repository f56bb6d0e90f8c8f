//! A snapshot on its way: a length and a request before it, then the file in chunks. Memory is a few chunks on either side,
//! however large the snapshot.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::{StreamExt as _, stream};

use super::Body;
use super::message::{Request, decode_request};
use crate::raft::blocking::blocking;
use crate::raft::disk::Disk;

/// Bytes of a chunk.
const CHUNK: usize = 256 * 1024;
/// Longest head.
const MAX_HEAD: usize = 1024 * 1024;
/// Bytes of the length before the head.
const PREFIX: usize = 4;

/// A file in chunks, each read when it is asked for.
pub(crate) fn chunks(file: Box<dyn Read + Send>, disk: Arc<dyn Disk>) -> Body {
    let rest = stream::try_unfold((file, disk), |(mut file, disk)| async {
        let read = blocking(&*disk, move || {
            let mut chunk = vec![0; CHUNK];
            let length = fill(&mut *file, &mut chunk)?;
            chunk.truncate(length);
            Ok::<_, io::Error>((chunk, file))
        });
        let (chunk, file) = read.await??;
        Ok((!chunk.is_empty()).then(|| (Bytes::from(chunk), (file, disk))))
    });
    rest.boxed()
}

fn fill(file: &mut dyn Read, chunk: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < chunk.len() {
        match file.read(&mut chunk[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Puts a request before a snapshot.
pub(crate) fn write_head(request: &Request, body: Body) -> Result<Body, String> {
    let head = request.encode()?;
    let length = u32::try_from(head.len()).map_err(|error| error.to_string())?;
    let mut bytes = BytesMut::with_capacity(PREFIX + head.len());
    bytes.put_u32_le(length);
    bytes.put_slice(&head);
    let first = stream::once(async move { Ok(bytes.freeze()) });
    Ok(first.chain(body).boxed())
}

/// Takes the request off; the snapshot is left.
pub(crate) async fn read_head(mut body: Body) -> Result<(Request, Body), String> {
    let mut bytes = BytesMut::new();
    loop {
        if let Some(prefix) = bytes.first_chunk::<PREFIX>() {
            let length = u32::from_le_bytes(*prefix) as usize;
            if length > MAX_HEAD {
                return Err(format!("a head of {length} bytes"));
            }
            if bytes.len() >= PREFIX + length {
                bytes.advance(PREFIX);
                let request = decode_request(&bytes.split_to(length))?;
                let rest = bytes.freeze();
                let rest = stream::iter((!rest.is_empty()).then_some(Ok(rest)));
                return Ok((request, rest.chain(body).boxed()));
            }
        }
        match body.next().await {
            Some(Ok(more)) => bytes.extend_from_slice(&more),
            Some(Err(error)) => return Err(error.to_string()),
            None => return Err("it ends before the snapshot begins".to_owned()),
        }
    }
}
