//! Stopping a node as `SIGSTOP` does: nothing of it goes on until it is resumed, and then all that waited goes on at once.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};

use parking_lot::Mutex;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Running,
    Stopped,
    Dead,
}

/// Whether one life of a node goes on.
#[derive(Debug)]
pub(crate) struct Freeze(Mutex<(Mode, Vec<Waker>)>);

impl Freeze {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new((Mode::Running, Vec::new()))))
    }

    pub(crate) fn is_running(&self) -> bool {
        self.0.lock().0 == Mode::Running
    }

    pub(crate) fn stop(&self) {
        let mut state = self.0.lock();
        if state.0 == Mode::Running {
            state.0 = Mode::Stopped;
        }
    }

    pub(crate) fn resume(&self) {
        let mut state = self.0.lock();
        if state.0 == Mode::Stopped {
            state.0 = Mode::Running;
            let waiting = std::mem::take(&mut state.1);
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    pub(crate) fn kill(&self) {
        *self.0.lock() = (Mode::Dead, Vec::new());
    }

    /// Work of this node: goes on only while the node does, never again once it is dead.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let mut state = self.0.lock();
            match state.0 {
                Mode::Running => {
                    drop(state);
                    work.as_mut().poll(context)
                }
                Mode::Stopped => {
                    state.1.push(context.waker().clone());
                    Poll::Pending
                }
                Mode::Dead => Poll::Pending,
            }
        })
        .await
    }

    /// Returns once the node goes on; never when it is dead.
    pub(crate) async fn running(&self) {
        self.run(std::future::ready(())).await;
    }
}
