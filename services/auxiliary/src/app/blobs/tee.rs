//! A content that goes to two places at once. The second may fail or be slow: then it is left behind, and gets its copy later.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;

/// Pieces on their way to the second place.
const AHEAD: usize = 16;
/// How long the first place waits for the second.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the second place is told.
enum Told {
    Piece(Bytes),
    /// The content is whole. Without this it is not: its writer may have gone.
    End,
}

/// The same content twice. The second breaks off with an error unless the first is read to its end.
pub(super) fn tee<S, E>(
    content: S,
) -> (
    impl Stream<Item = Result<Bytes, E>> + Send,
    impl Stream<Item = io::Result<Bytes>> + Send + 'static,
)
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Send,
{
    let (send, receive) = mpsc::channel(AHEAD);
    let first = stream::unfold((Box::pin(content), Some(send)), |(mut content, mut send)| async move {
        let next = content.next().await;
        let told = match &next {
            Some(Ok(piece)) => Some(Told::Piece(piece.clone())),
            Some(Err(_)) => None,
            None => Some(Told::End),
        };
        match (told, &send) {
            (Some(told), Some(open)) => {
                if !matches!(tokio::time::timeout(PATIENCE, open.send(told)).await, Ok(Ok(()))) {
                    send = None;
                }
            }
            _ => send = None,
        }
        next.map(|piece| (piece, (content, send)))
    });
    let second = stream::unfold(Some(receive), |receive| async move {
        let mut receive = receive?;
        match receive.recv().await {
            Some(Told::Piece(piece)) => Some((Ok(piece), Some(receive))),
            Some(Told::End) => None,
            None => Some((Err(io::Error::other("its writer broke off")), None)),
        }
    });
    (first, second)
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    fn pieces(n: usize) -> Vec<Result<Bytes, io::Error>> {
        (0..n).map(|n| Ok(Bytes::from(vec![n as u8; 3]))).collect()
    }

    #[tokio::test]
    async fn both_get_the_whole_content() {
        let (first, second) = tee(stream::iter(pieces(40)));
        let (first, second) = tokio::join!(first.try_collect::<Vec<_>>(), second.try_collect::<Vec<_>>());
        assert_eq!(first.unwrap(), second.unwrap());
    }

    #[tokio::test]
    async fn a_content_that_broke_off_is_never_whole_for_the_second() {
        let mut broken = pieces(3);
        broken.push(Err(io::Error::other("reset")));
        let (first, second) = tee(stream::iter(broken));
        let (first, second) = tokio::join!(first.try_collect::<Vec<_>>(), second.try_collect::<Vec<_>>());
        assert!(first.is_err() && second.is_err());

        let (first, second) = tee(stream::iter(pieces(3)));
        let mut first = Box::pin(first);
        first.next().await.unwrap().unwrap();
        drop(first);
        assert!(second.try_collect::<Vec<_>>().await.is_err(), "its writer has gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_that_is_stuck_is_left_behind() {
        let (first, second) = tee(stream::iter(pieces(100)));
        assert_eq!(first.try_collect::<Vec<_>>().await.unwrap().len(), 100);
        assert!(second.try_collect::<Vec<_>>().await.is_err());
    }
}
