//! A thread with a large stack, for work that recurses into queries.

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Everything that walks an expression recurses; what is deeper than fits is refused before. Memory is only taken where the
/// stack really gets that deep.
const STACK_BYTES: usize = 256 << 20;

/// Runs a future on a thread of its own; an error is why it could not. Dropped, it stops at its next step.
pub(crate) async fn on_large_stack<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
    let stop = CancellationToken::new();
    let _stop_when_dropped = stop.clone().drop_guard();
    let (sender, receiver) = oneshot::channel();
    let handle = Handle::current();
    let thread = std::thread::Builder::new()
        .name("query-plan".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            if let Some(done) = handle.block_on(stop.run_until_cancelled(work)) {
                // Nobody waits any more: the caller was dropped.
                let _ = sender.send(done);
            }
        });
    thread.map_err(|error| format!("no thread to plan on: {error}"))?;
    receiver.await.map_err(|_| "planning panicked".to_owned())
}
