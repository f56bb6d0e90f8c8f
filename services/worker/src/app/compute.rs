//! The threads queries compute on, apart from those that talk to others.

use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::task::AbortOnDropHandle;
use transport::Traced;

/// Evaluating an expression recurses into it; memory is only taken where the stack really gets that deep.
const STACK_BYTES: usize = 64 << 20;

/// A runtime that may be dropped anywhere.
#[derive(Debug)]
pub(crate) struct Compute(Option<Runtime>);

impl Compute {
    /// One thread for each slot.
    pub(crate) fn start(slots: usize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(slots)
            .thread_name("query")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs to the end, for the same traced request, unless the returned future is dropped.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, JoinError> {
        let work = Traced::scope_of(Traced::current(), work);
        let handle: JoinHandle<T> = match &self.0 {
            Some(runtime) => runtime.spawn(work),
            // Only while this is being dropped, when nobody can call it.
            None => tokio::spawn(work),
        };
        AbortOnDropHandle::new(handle).await
    }
}

impl Drop for Compute {
    fn drop(&mut self) {
        // A runtime that is simply dropped waits for its threads, which panics on the threads of another runtime.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
