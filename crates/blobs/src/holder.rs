//! One auxiliary as a holder of blobs: the calls between nodes, and what they carry.
//!
//! | call | does |
//! |---|---|
//! | `PUT /internal/v1/blobs/{name}` | stores it here and with the other owners; `?copy=true` stores it here alone |
//! | `GET`, `HEAD /internal/v1/blobs/{name}` | the content, `Range` honoured; size in `x-blob-bytes`, checksum in `ETag` |
//! | `DELETE /internal/v1/blobs/{name}` | removes the copy here |
//! | `GET /internal/v1/blobs?prefix=&after=&limit=` | a page of names with sizes |
//! | `POST /internal/v1/blob-check` | which of these names are held, whole |

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use transport::peer::{Body, HeaderValue, Method, PeerClient, PeerError, PeerRequest, PeerResponse, Retry};

/// How the detail begins when a node has no room for a blob.
pub const NO_SPACE: &str = "no space for blobs";
/// Header: bytes of the whole blob.
pub const BLOB_BYTES: &str = "x-blob-bytes";
/// Most names in one check or page.
pub const MAX_NAMES: usize = 1_000;

/// Segments of a name stay segments of the path.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'_').remove(b'-');
/// Longest wait for a holder's first byte, and for any call without a content.
const DEADLINE: Duration = Duration::from_secs(5);
/// Longest silence within a content.
const SILENCE: Duration = Duration::from_secs(10);
/// Longest time for a content as a whole; what ends a broken one is silence.
const FOREVER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Longest wait for the acknowledgement after the last byte, besides the time to copy so many bytes once more.
const ACKNOWLEDGEMENT: Duration = Duration::from_secs(60);
/// The slowest that copies are made.
const BYTES_PER_SECOND: u64 = 8 << 20;
/// Longest time for a holder to read many blobs.
const THOROUGH: Duration = Duration::from_secs(600);

/// A blob as a holder describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its name.
    pub name: String,
    /// Bytes of content.
    pub bytes: u64,
    /// crc32c of the content.
    pub crc32c: u32,
}

/// A blob in a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Bytes of content.
    pub bytes: u64,
}

/// A page of names, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The blobs.
    pub items: Vec<Named>,
    /// Where the next page begins: behind this name; none on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Asks which blobs a node holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Their names, at most [`MAX_NAMES`].
    pub names: Vec<String>,
    /// Whether each is to be read whole.
    #[serde(default)]
    pub thorough: bool,
}

/// Those that are held, and not damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// In the order in which they were asked for.
    pub held: Vec<Held>,
}

/// An open blob at a holder.
pub struct Opened {
    /// What it is.
    pub held: Held,
    /// The range that was asked for, as far as it lies within the blob.
    pub content: BoxStream<'static, Result<Bytes, PeerError>>,
}

/// Calls holders by their addresses (`host:port`); clones are one.
#[derive(Debug, Clone)]
pub struct Holders {
    client: PeerClient,
}

impl Holders {
    /// Over this client.
    #[must_use]
    pub const fn new(client: PeerClient) -> Self {
        Self { client }
    }

    /// Sends a content. With `copy` the holder keeps it for itself, otherwise it sees to all copies before it answers.
    ///
    /// # Errors
    /// What the holder says, or that it fell silent.
    pub async fn put(
        &self,
        address: &str,
        name: &str,
        copy: bool,
        content: BoxStream<'static, io::Result<Bytes>>,
    ) -> Result<Held, PeerError> {
        let sent = Arc::new(Mutex::new((Instant::now(), 0u64)));
        let noted = Arc::clone(&sent);
        let body = content.inspect(move |piece| {
            let mut sent = noted.lock();
            sent.0 = Instant::now();
            sent.1 += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        });
        let query = if copy { "?copy=true" } else { "" };
        let call = self
            .client
            .request(Method::PUT, address, &format!("{}{query}", path(name)))
            .stream(Body::wrap_stream(body))
            // What breaks off is as often the source's fault as the holder's, which no breaker should be told.
            .unguarded()
            .deadline(FOREVER);
        tokio::select! {
            answer = call.send() => answer?.json().await,
            () = silence(&sent) => Err(PeerError::NoAnswer {
                peer: address.to_owned(),
                detail: "it fell silent while a blob was sent to it".to_owned(),
            }),
        }
    }

    /// Opens a blob, from `start` to `end` or to its end; with a checksum, only one that has it.
    ///
    /// # Errors
    /// What the holder says, or that it does not answer.
    pub async fn open(&self, address: &str, name: &str, (start, end): (u64, Option<u64>)) -> Result<Opened, PeerError> {
        let mut call = self.call(Method::GET, address, &path(name));
        if start > 0 || end.is_some() {
            let last = end.map(|end| end.saturating_sub(1).to_string()).unwrap_or_default();
            call = call.header("range", text(&format!("bytes={start}-{last}")));
        }
        let answer = call.send().await?;
        let held = described(address, name, &answer)?;
        let peer = address.to_owned();
        let content = with_patience(answer.stream().boxed(), peer);
        Ok(Opened { held, content })
    }

    /// What a holder has of a blob.
    ///
    /// # Errors
    /// What the holder says, or that it does not answer.
    pub async fn stat(&self, address: &str, name: &str) -> Result<Held, PeerError> {
        // Answers to HEAD have no body that could say why: a check has.
        let checked = self.check(address, vec![name.to_owned()], false).await?;
        checked.into_iter().next().ok_or_else(|| PeerError::Answered {
            peer: address.to_owned(),
            problem: Box::new(api::Problem::new(api::ErrorCode::NotFound, "it is not held here")),
        })
    }

    /// Which blobs a holder has.
    ///
    /// # Errors
    /// What the holder says, or that it does not answer.
    pub async fn check(&self, address: &str, names: Vec<String>, thorough: bool) -> Result<Vec<Held>, PeerError> {
        let call = self.call(Method::POST, address, "/internal/v1/blob-check");
        let call = if thorough { call.deadline(THOROUGH) } else { call };
        let checked: Checked = call.json(&Check { names, thorough }).send().await?.json().await?;
        Ok(checked.held)
    }

    /// Removes a holder's copy; whether it had one.
    ///
    /// # Errors
    /// What the holder says, or that it does not answer.
    pub async fn delete(&self, address: &str, name: &str) -> Result<bool, PeerError> {
        match self.call(Method::DELETE, address, &path(name)).send().await {
            Ok(_) => Ok(true),
            Err(PeerError::Answered { problem, .. }) if problem.code == api::ErrorCode::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Names that a holder has.
    ///
    /// # Errors
    /// What the holder says, or that it does not answer.
    pub async fn page(&self, address: &str, prefix: &str, after: Option<&str>) -> Result<Page, PeerError> {
        let mut query = format!("/internal/v1/blobs?limit={MAX_NAMES}&prefix={}", escaped(prefix));
        if let Some(after) = after {
            query.push_str("&after=");
            query.push_str(&escaped(after));
        }
        self.call(Method::GET, address, &query).send().await?.json().await
    }

    /// The caller sees to other holders, so one that fails is not asked again here.
    fn call(&self, method: Method, address: &str, path: &str) -> PeerRequest {
        self.client
            .request(method, address, path)
            .deadline(DEADLINE)
            .retry(Retry::Never)
    }
}

/// The path of a blob.
#[must_use]
pub fn path(name: &str) -> String {
    format!("/internal/v1/blobs/{}", utf8_percent_encode(name, KEPT))
}

/// A checksum as an entity tag.
#[must_use]
pub fn tag(crc32c: u32) -> String {
    format!("\"{crc32c:08x}\"")
}

/// The part of a blob of `bytes` that a `Range` header asks for; none when it is no such header, which is then ignored, as it
/// must be.
///
/// # Errors
/// When the range begins behind the end.
pub fn parse_range(header: &str, bytes: u64) -> Result<Option<Range<u64>>, u64> {
    let Some((first, last)) = header.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Ok(None);
    };
    let range = match (first.trim().parse::<u64>(), last.trim()) {
        (Ok(start), "") => start..bytes,
        (Ok(start), last) => match last.parse::<u64>() {
            Ok(last) if last >= start => start..last.saturating_add(1).min(bytes),
            _ => return Ok(None),
        },
        (Err(_), last) if first.trim().is_empty() => match last.parse::<u64>() {
            Ok(suffix) => bytes.saturating_sub(suffix)..bytes,
            Err(_) => return Ok(None),
        },
        _ => return Ok(None),
    };
    if range.start >= bytes {
        Err(range.start)
    } else {
        Ok(Some(range))
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""))
}

fn described(address: &str, name: &str, answer: &PeerResponse) -> Result<Held, PeerError> {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let bytes = header(BLOB_BYTES).and_then(|bytes| bytes.parse().ok());
    let crc32c = header("etag").and_then(|tag| u32::from_str_radix(tag.trim_matches('"'), 16).ok());
    match (bytes, crc32c) {
        (Some(bytes), Some(crc32c)) => Ok(Held {
            name: name.to_owned(),
            bytes,
            crc32c,
        }),
        _ => Err(PeerError::Malformed {
            peer: address.to_owned(),
            detail: "a blob without its size and checksum".to_owned(),
        }),
    }
}

/// Returns when nothing was sent for too long, or the acknowledgement is overdue.
async fn silence(sent: &Mutex<(Instant, u64)>) {
    loop {
        let (last, bytes) = *sent.lock();
        let due = last + ACKNOWLEDGEMENT + Duration::from_secs(bytes / BYTES_PER_SECOND);
        if due <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(due).await;
    }
}

/// Ends a content in which nothing comes for too long.
fn with_patience(
    content: BoxStream<'static, Result<Bytes, PeerError>>,
    peer: String,
) -> BoxStream<'static, Result<Bytes, PeerError>> {
    futures::stream::try_unfold(content, move |mut content| {
        let peer = peer.clone();
        async move {
            match tokio::time::timeout(SILENCE, content.try_next()).await {
                Ok(next) => Ok(next?.map(|piece| (piece, content))),
                Err(_) => Err(PeerError::NoAnswer {
                    peer,
                    detail: format!("it fell silent for {SILENCE:?} within a blob"),
                }),
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_says() {
        for (header, expected) in [
            ("bytes=0-0", Ok(Some(0..1))),
            ("bytes=5-", Ok(Some(5..10))),
            ("bytes=5-99", Ok(Some(5..10))),
            ("bytes=-3", Ok(Some(7..10))),
            ("bytes=-30", Ok(Some(0..10))),
            ("bytes=10-", Err(10)),
            ("bytes=12-13", Err(12)),
            ("bytes=-0", Err(10)),
            ("bytes=5-4", Ok(None)),
            ("bytes=1-2,4-5", Ok(None)),
            ("bytes=x-", Ok(None)),
            ("lines=1-2", Ok(None)),
        ] {
            assert_eq!(parse_range(header, 10), expected, "{header}");
        }
    }
}
