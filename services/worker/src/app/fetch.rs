//! Shuffle files of this worker, read from disk, and of others, read over HTTP.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use prometheus::IntCounter;
use query::{ByteStream, ShuffleDir, ShufflePart, ShuffleSource};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;
use transport::Traced;
use transport::peer::{PeerClient, PeerError};

/// Time for a file to be opened, retries included: beyond it, it is taken for lost.
const OPEN_DEADLINE: Duration = Duration::from_secs(5);
/// Longest silence in the middle of a file.
const SILENCE: Duration = Duration::from_secs(30);
/// Chunks on their way from the network to the query.
const AHEAD: usize = 8;

/// Where shuffle files come from.
#[derive(Debug)]
pub(super) struct Shuffle {
    address: String,
    local: ShuffleDir,
    peers: PeerClient,
    /// Connections live where they were opened; on the threads queries compute on they would starve.
    network: Handle,
    fetched: IntCounter,
}

impl Shuffle {
    /// Must be called on the runtime that is to do the networking.
    pub(super) fn new(address: String, local: ShuffleDir, peers: PeerClient, fetched: IntCounter) -> Self {
        Self {
            address,
            local,
            peers,
            network: Handle::current(),
            fetched,
        }
    }
}

#[async_trait]
impl ShuffleSource for Shuffle {
    async fn open(&self, part: &ShufflePart) -> io::Result<ByteStream> {
        if part.address == self.address {
            return self.local.open(part).await;
        }
        let ShufflePart {
            job,
            stage,
            partition,
            attempt,
            output,
            address,
        } = part;
        let path = format!("/internal/v1/shuffle/{job}/{stage}/{partition}/{attempt}/{output}");
        let call = self.peers.get(address, &path).deadline(OPEN_DEADLINE);
        let (opened, answer) = tokio::sync::oneshot::channel();
        let (sender, receiver) = mpsc::channel(AHEAD);
        let fetched = self.fetched.clone();
        let fetching = async move {
            let mut body = match call.send().await {
                Ok(response) => response.stream().boxed(),
                Err(error) => return drop(opened.send(Err(error))),
            };
            // A reader that has gone away needs no more.
            if opened.send(Ok(())).is_err() {
                return;
            }
            loop {
                let next = timeout(SILENCE, body.try_next()).await;
                let chunk: io::Result<Bytes> = match next {
                    Ok(Ok(Some(chunk))) => Ok(chunk),
                    Ok(Ok(None)) => return,
                    Ok(Err(error)) => Err(io::Error::other(error)),
                    Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("nothing for {SILENCE:?}"))),
                };
                fetched.inc_by(chunk.as_ref().map_or(0, |chunk| chunk.len() as u64));
                let last = chunk.is_err();
                if sender.send(chunk).await.is_err() || last {
                    return;
                }
            }
        };
        self.network.spawn(Traced::scope_of(Traced::current(), fetching));
        answer
            .await
            .map_err(io::Error::other)?
            .map_err(|error: PeerError| io::Error::other(error))?;
        Ok(stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        })
        .boxed())
    }
}
