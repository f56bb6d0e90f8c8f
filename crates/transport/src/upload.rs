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

/// Longest silence of a sender.
const SILENCE: Duration = Duration::from_secs(60);
/// How long, and how much of, a body is read that nobody wants: time for its sender to see the answer.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 64 << 20;

/// A body that breaks off when nothing comes for too long.
pub fn upload(body: Body) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::try_unfold(Unread(Some(body.into_data_stream())), |mut unread| async move {
        let Some(body) = &mut unread.0 else { return Ok(None) };
        match tokio::time::timeout(SILENCE, body.next()).await {
            Ok(Some(Ok(piece))) => Ok(Some((piece, unread))),
            ended => {
                // There is no rest.
                drop(unread.0.take());
                match ended {
                    Ok(Some(Err(error))) => Err(io::Error::other(error)),
                    Err(_) => Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("nothing came for {SILENCE:?}"),
                    )),
                    _ => Ok(None),
                }
            }
        }
    })
}

/// Lets a body go whose request was refused before anybody read it.
pub(crate) fn leave_unread(body: Body) {
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
