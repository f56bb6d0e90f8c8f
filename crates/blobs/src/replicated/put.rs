//! Storing a blob: sent to one auxiliary, which sees to the copies.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Replicated;
use crate::content;
use crate::holder::Held;
use crate::{BlobInfo, Error, Result};

/// Time in which a content may be sent again: enough for the ring to lose two nodes.
const DEADLINE: Duration = Duration::from_secs(30);
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(250);

impl Replicated {
    /// Sends a file as often as it takes.
    pub(super) async fn put_file(&self, name: &str, path: &PathBuf) -> Result<BlobInfo> {
        let until = Instant::now() + DEADLINE;
        let mut attempt = 0;
        loop {
            let source = |error: io::Error| Error::Source {
                name: name.to_owned(),
                detail: format!("{}: {error}", path.display()),
            };
            let (_, content) = content::open(path).await.map_err(source)?;
            let failed = match self.at(name, attempt) {
                Some(address) => match self.holders.put(&address, name, false, content).await {
                    Ok(held) => return Ok(info(held)),
                    Err(error) => Error::of_peer(name, &error),
                },
                None => nobody(),
            };
            if !matches!(failed, Error::Unavailable(_)) || Instant::now() + PAUSE >= until {
                return Err(failed);
            }
            tracing::debug!(blob = name, error = %failed, "a blob was not stored; trying again");
            attempt += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends a stream; again only while nothing of it was taken.
    pub(super) async fn put_stream(&self, name: &str, stream: BoxStream<'static, io::Result<Bytes>>) -> Result<BlobInfo> {
        let until = Instant::now() + DEADLINE;
        let offer = Offer::new(stream);
        let mut attempt = 0;
        loop {
            let failed = match self.at(name, attempt) {
                Some(address) => match self.holders.put(&address, name, false, offer.clone().boxed()).await {
                    Ok(held) => return Ok(info(held)),
                    // What the source said counts more than what the holder made of it.
                    Err(error) => offer.failure(name).unwrap_or_else(|| Error::of_peer(name, &error)),
                },
                None => nobody(),
            };
            let again = matches!(failed, Error::Unavailable(_)) && offer.is_whole();
            if !again || Instant::now() + PAUSE >= until {
                return Err(failed);
            }
            attempt += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whom to send a blob to: the first owner, and after failures the others in turn, each of which sees to the copies.
    fn at(&self, name: &str, attempt: usize) -> Option<String> {
        let snapshot = self.view.load();
        let members = snapshot.routing().candidates(crate::NAMESPACE, name);
        let count = members.len().max(1);
        members.get(attempt % count).map(|owner| owner.address.clone())
    }
}

fn nobody() -> Error {
    Error::Unavailable("there is no auxiliary in the ring to keep blobs".to_owned())
}

fn info(held: Held) -> BlobInfo {
    BlobInfo {
        name: held.name,
        bytes: held.bytes,
        crc32c: Some(held.crc32c),
    }
}

/// A stream that may be offered to several holders, until one takes the first piece.
#[derive(Clone)]
struct Offer {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    stream: BoxStream<'static, io::Result<Bytes>>,
    taken: bool,
    failed: Option<String>,
}

impl Offer {
    fn new(stream: BoxStream<'static, io::Result<Bytes>>) -> Self {
        let shared = Shared {
            stream,
            taken: false,
            failed: None,
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
        }
    }

    fn is_whole(&self) -> bool {
        !self.shared.lock().taken
    }

    fn failure(&self, name: &str) -> Option<Error> {
        let detail = self.shared.lock().failed.clone();
        detail.map(|detail| Error::Source {
            name: name.to_owned(),
            detail,
        })
    }
}

impl Stream for Offer {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut shared = self.shared.lock();
        let polled = shared.stream.poll_next_unpin(context);
        if let Poll::Ready(next) = &polled {
            shared.taken = true;
            if let Some(Err(error)) = next {
                shared.failed = Some(error.to_string());
            }
        }
        polled
    }
}
