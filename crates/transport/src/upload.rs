//! Bodies that take as long as they take, and what becomes of those that nobody wants any more.
//!
//! A connection that is closed while something still comes is reset, and its client finds a broken pipe where the refusal stood. So the rest
//! of a refused body is read for a while, and thrown away.

use std::io;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::runtime::Handle;
use tokio::time::Instant;

/// Longest silence of a sender.
const SILENCE: Duration = Duration::from_secs(60);
/// What has to come of a body from outside in as much time: a kibibyte a second.
const LEAST_BYTES: usize = 60 << 10;
/// How long, and how much of, a body is read that nobody wants: time for its sender to see the answer.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 64 << 20;

/// A body that breaks off when nothing comes for too long.
pub fn upload(body: Body) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    paced(body, Pace::default())
}

/// A body from outside, which breaks off as well when it only trickles: who sends a byte a minute would hold a connection, and what is made of
/// the body, for ever. Only time counts in which we wait for the client.
pub fn client_upload(body: Body) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let pace = Pace {
        least: LEAST_BYTES,
        ..Pace::default()
    };
    paced(body, pace)
}

fn paced(body: Body, pace: Pace) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let begin = (Unread(Some(body.into_data_stream())), pace);
    stream::try_unfold(begin, |(mut unread, mut pace)| async move {
        let Some(body) = &mut unread.0 else { return Ok(None) };
        let asked = Instant::now();
        match tokio::time::timeout(pace.left, body.next()).await {
            Ok(Some(Ok(piece))) => {
                pace.came(piece.len(), asked.elapsed());
                Ok(Some((piece, (unread, pace))))
            }
            ended => {
                // There is no rest.
                drop(unread.0.take());
                match ended {
                    Ok(Some(Err(error))) => Err(io::Error::other(error)),
                    Err(_) => Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("no more than {} bytes came in {SILENCE:?}", pace.came),
                    )),
                    _ => Ok(None),
                }
            }
        }
    })
}

/// How fast a body has to come.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Bytes that have to come in [`SILENCE`].
    least: usize,
    /// How many came of them.
    came: usize,
    /// The time that is left for the others.
    left: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            least: 1,
            came: 0,
            left: SILENCE,
        }
    }
}

impl Pace {
    fn came(&mut self, bytes: usize, waited: Duration) {
        self.came = self.came.saturating_add(bytes);
        self.left = self.left.saturating_sub(waited);
        if self.came >= self.least {
            (self.came, self.left) = (0, SILENCE);
        }
    }
}

/// Lets a body go whose request was refused before anybody read it.
pub fn leave_unread(body: Body) {
    if !body.is_end_stream() {
        drop(Unread(Some(body.into_data_stream())));
    }
}

/// What may still come of a body.
struct Unread(Option<BodyDataStream>);

impl Drop for Unread {
    fn drop(&mut self) {
        if let (Some(body), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(LINGER, discard(body)));
        }
    }
}

async fn discard(mut body: BodyDataStream) {
    let mut left = LINGER_BYTES;
    while let Some(Ok(piece)) = body.next().await {
        match left.checked_sub(piece.len()) {
            Some(less) => left = less,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body of pieces of so many bytes, with a pause before each.
    fn trickle(bytes: usize, pause: Duration) -> Body {
        Body::from_stream(stream::unfold((), move |()| async move {
            tokio::time::sleep(pause).await;
            Some((Ok::<_, io::Error>(Bytes::from(vec![7; bytes])), ()))
        }))
    }

    async fn ends_after(content: impl Stream<Item = io::Result<Bytes>>) -> Option<Duration> {
        let (begun, mut content) = (Instant::now(), std::pin::pin!(content));
        while begun.elapsed() < Duration::from_secs(600) {
            if let Err(error) = content.next().await.expect("it does not end by itself") {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                return Some(begun.elapsed());
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_trickle_end_but_slow_ones_do_not() {
        let second = Duration::from_secs(1);
        assert_eq!(ends_after(client_upload(trickle(1, second))).await, Some(SILENCE));
        assert_eq!(ends_after(client_upload(trickle(2 << 10, second))).await, None);
        assert_eq!(
            ends_after(upload(trickle(1, 50 * second))).await,
            None,
            "what nodes send may be rare"
        );
        assert_eq!(ends_after(upload(trickle(1, 61 * second))).await, Some(SILENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_we_take_is_not_the_clients() {
        let mut content = std::pin::pin!(client_upload(trickle(1, Duration::from_millis(1))));
        for _ in 0..10 {
            assert!(content.next().await.expect("it goes on").is_ok());
            tokio::time::sleep(2 * SILENCE).await;
        }
    }
}
