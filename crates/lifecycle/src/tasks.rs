//! The set of background tasks of one node.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, info_span};

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(10);

/// What a task is doing, for operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskStatus {
    /// Its name.
    pub name: String,
    /// Whether it runs now.
    pub running: bool,
    /// How often it was started again after a panic.
    pub restarts: u32,
}

/// Background tasks of one node; clones share the set.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    token: CancellationToken,
    tracker: TaskTracker,
    status: Arc<Mutex<BTreeMap<String, TaskStatus>>>,
}

impl Tasks {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when the node stops.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Runs a task until it returns or the node stops. `start` gets the token the task must obey and is called again,
    /// after a backoff, when the task panics.
    pub fn supervise<F, Fut>(&self, name: impl Into<String>, start: F)
    where
        F: Fn(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let name = name.into();
        let (token, status) = (self.token.clone(), Arc::clone(&self.status));
        status.lock().insert(
            name.clone(),
            TaskStatus {
                name: name.clone(),
                running: true,
                restarts: 0,
            },
        );
        let span = info_span!("task", name = %name);
        let run = async move {
            let mut backoff = FIRST_BACKOFF;
            while AssertUnwindSafe(start(token.clone())).catch_unwind().await.is_err() && !token.is_cancelled() {
                error!(task = %name, restart_in = ?backoff, "background task panicked");
                if let Some(entry) = status.lock().get_mut(&name) {
                    entry.restarts += 1;
                }
                tokio::select! {
                    () = tokio::time::sleep(backoff) => {}
                    () = token.cancelled() => break,
                }
                backoff = (backoff * 2).min(LAST_BACKOFF);
            }
            if let Some(entry) = status.lock().get_mut(&name) {
                entry.running = false;
            }
        };
        self.tracker.spawn(run.instrument(span));
    }

    /// All tasks ever started here, by name.
    #[must_use]
    pub fn list(&self) -> Vec<TaskStatus> {
        self.status.lock().values().cloned().collect()
    }

    /// Cancels every task and waits for them; gives back the names of those still running at the deadline.
    pub async fn shutdown(&self, deadline: Duration) -> Vec<String> {
        self.token.cancel();
        self.tracker.close();
        if timeout(deadline, self.tracker.wait()).await.is_ok() {
            return Vec::new();
        }
        self.list()
            .into_iter()
            .filter(|task| task.running)
            .map(|task| task.name)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn panicking_task_is_started_again() {
        let tasks = Tasks::new();
        let runs = Arc::new(AtomicU32::new(0));
        let (done, finished) = tokio::sync::oneshot::channel();
        let done = Arc::new(Mutex::new(Some(done)));
        let seen = Arc::clone(&runs);
        tasks.supervise("flaky", move |_| {
            let (run, done) = (seen.fetch_add(1, Ordering::SeqCst), Arc::clone(&done));
            async move {
                assert!(run > 0, "first run fails");
                if let Some(done) = done.lock().take() {
                    done.send(()).unwrap();
                }
            }
        });
        finished.await.unwrap();
        assert_eq!(tasks.list()[0].restarts, 1);
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn shutdown_names_the_task_that_does_not_obey() {
        let tasks = Tasks::new();
        tasks.supervise("obeys", |token| async move { token.cancelled().await });
        tasks.supervise("deaf", |_| std::future::pending());
        assert_eq!(tasks.shutdown(Duration::from_millis(50)).await, ["deaf"]);
    }
}
