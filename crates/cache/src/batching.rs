//! How large a frame becomes: of what waits, as much as fits.

use tokio::sync::mpsc;

/// Takes what waits, `most` at once, as soon as something does; false when nothing can come any more. Dropped half-way, it
/// leaves in `taken` what it took.
pub(crate) async fn gather<T>(waiting: &mut mpsc::Receiver<T>, taken: &mut Vec<T>, most: usize) -> bool {
    if waiting.recv_many(taken, most).await == 0 {
        return false;
    }
    // The first of many requests that arrived together wakes the carrier before the others were read: let them be read.
    tokio::task::yield_now().await;
    while taken.len() < most {
        let Ok(bundle) = waiting.try_recv() else { break };
        taken.push(bundle);
    }
    true
}

/// How many of the first fit into so many bytes; at least one.
pub(crate) fn fitting<T>(waiting: &[T], bytes_of: impl Fn(&T) -> usize, limit: usize) -> usize {
    let mut bytes = 0;
    let over = waiting.iter().position(|bundle| {
        bytes += bytes_of(bundle);
        bytes > limit
    });
    over.map_or(waiting.len(), |index| index.max(1))
}
