//! Calls to one of several servers of the same store.
//!
//! Calls stay with one server until it fails, then move on. What changes nothing is repeated elsewhere after any failure;
//! a write only when it was certainly not executed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

use crate::{Error, Result};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// Share of the deadline that one attempt may take of a call that may be repeated, so that time is left to do so.
const ATTEMPT_SHARE: f64 = 0.4;

/// When a failed call may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It changes nothing, or the same thing twice.
    Always,
    /// It is a write.
    UnlessExecuted,
}

/// How an attempt failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The same answer awaits at every server for now: full, not allowed.
    pub(crate) everywhere: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            everywhere: false,
        }
    }
}

/// Which of the servers is in use, and how long calls may take.
#[derive(Debug)]
pub(crate) struct Failover {
    servers: Vec<String>,
    current: AtomicUsize,
    deadline: Duration,
}

impl Failover {
    /// Over these addresses, of which there must be one.
    pub(crate) const fn new(servers: Vec<String>, deadline: Duration) -> Self {
        let current = AtomicUsize::new(0);
        Self {
            servers,
            current,
            deadline,
        }
    }

    /// All of them.
    pub(crate) fn servers(&self) -> &[String] {
        &self.servers
    }

    /// Uses this one first, if it is one of them.
    pub(crate) fn begin_with(&self, address: &str) {
        if let Some(server) = self.servers.iter().position(|server| server == address) {
            self.current.store(server, Ordering::Relaxed);
        }
    }

    /// Number of the server to use now.
    pub(crate) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed) % self.servers.len()
    }

    pub(crate) fn address(&self, server: usize) -> &str {
        &self.servers[server]
    }

    /// Bound on an attempt that may be repeated.
    pub(crate) fn attempt(&self) -> Duration {
        self.deadline.mul_f64(ATTEMPT_SHARE)
    }

    /// Turns to the next server, unless somebody else has done so already.
    pub(crate) fn leave(&self, server: usize, why: &Error) {
        let next = (server + 1) % self.servers.len();
        if self
            .current
            .compare_exchange(server, next, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
        {
            debug!(server = self.servers[server], error = %why, "server of the control store failed, turning to the next");
        }
    }

    /// Makes a call until it succeeds, fails for good, or the deadline is reached.
    pub(crate) async fn call<T, F, C>(&self, repeat: Repeat, call: C) -> Result<T>
    where
        C: Fn(usize) -> F,
        F: Future<Output = std::result::Result<T, Failure>>,
    {
        let deadline = Instant::now() + self.deadline;
        let mut pause = FIRST_PAUSE;
        let mut attempts = 0;
        loop {
            let server = self.current();
            let until = match repeat {
                Repeat::Always => deadline.min(Instant::now() + self.attempt()),
                Repeat::UnlessExecuted => deadline,
            };
            let failure = match timeout_at(until, call(server)).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(failure)) => failure,
                Err(_) => Error::Timeout(format!("{} is silent", self.servers[server])).into(),
            };
            let elsewhere = match failure.error {
                Error::Unavailable(_) => !failure.everywhere,
                Error::Timeout(_) => {
                    self.leave(server, &failure.error);
                    repeat == Repeat::Always
                }
                _ => false,
            };
            if !elsewhere {
                return Err(failure.error);
            }
            self.leave(server, &failure.error);
            attempts += 1;
            if attempts % self.servers.len() == 0 {
                if Instant::now() + pause >= deadline {
                    return Err(failure.error);
                }
                sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            } else if Instant::now() >= deadline {
                return Err(failure.error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Calls over servers that fail in the ways given; tells the outcome and who was asked.
    async fn outcome(repeat: Repeat, failures: &[Option<Failure>]) -> (Result<usize>, Vec<usize>) {
        let servers = (0..failures.len()).map(|i| i.to_string()).collect();
        let failover = Failover::new(servers, Duration::from_millis(500));
        let asked = Mutex::new(Vec::new());
        let result = failover.call(repeat, |server| {
            asked.lock().unwrap().push(server);
            let failure = failures[server].as_ref().map(|failure| Failure {
                error: failure.error.clone(),
                everywhere: failure.everywhere,
            });
            async move { failure.map_or(Ok(server), Err) }
        });
        let result = result.await;
        (result, asked.into_inner().unwrap())
    }

    fn unavailable() -> Option<Failure> {
        Some(Error::Unavailable(String::new()).into())
    }

    fn unknown() -> Option<Failure> {
        Some(Error::Timeout(String::new()).into())
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_executed_is_repeated_elsewhere() {
        for repeat in [Repeat::Always, Repeat::UnlessExecuted] {
            let (result, asked) = outcome(repeat, &[unavailable(), unavailable(), None]).await;
            assert_eq!((result, asked), (Ok(2), vec![0, 1, 2]));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn write_with_unknown_outcome_is_never_repeated() {
        let (result, asked) = outcome(Repeat::UnlessExecuted, &[unknown(), None]).await;
        assert!(matches!(result, Err(Error::Timeout(_))));
        assert_eq!(asked, [0]);
        let (result, asked) = outcome(Repeat::Always, &[unknown(), None]).await;
        assert_eq!((result, asked), (Ok(1), vec![0, 1]));
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_final() {
        let invalid = || Some(Error::Invalid(String::new()).into());
        let full = || {
            Some(Failure {
                error: Error::Unavailable(String::new()),
                everywhere: true,
            })
        };
        for failure in [invalid(), full()] {
            assert_eq!(outcome(Repeat::Always, &[failure, None]).await.1, [0]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_at_the_deadline() {
        let started = Instant::now();
        let (result, asked) = outcome(Repeat::Always, &[unavailable(), unavailable()]).await;
        assert!(matches!(result, Err(Error::Unavailable(_))));
        assert!(started.elapsed() <= Duration::from_millis(500));
        assert!(asked.len() >= 6, "{asked:?}");
    }
}
