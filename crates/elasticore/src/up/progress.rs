//! What a start waits for: for a person at a terminal, and for whoever wonders why it takes so long.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::anyhow;
use indicatif::ProgressBar;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// Time after which it is said what is awaited, once.
const NOTICE: Duration = Duration::from_secs(30);

/// How far a start has come, and how long it may take.
pub(super) struct Progress {
    bar: ProgressBar,
    awaited: watch::Sender<String>,
    began: Instant,
    at_most: Duration,
    noticed: AtomicBool,
}

impl Progress {
    /// Begins now.
    pub(super) fn new(at_most: Duration) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        } else {
            ProgressBar::hidden()
        };
        Self {
            bar,
            awaited: watch::Sender::new("starting".to_owned()),
            began: Instant::now(),
            at_most,
            noticed: AtomicBool::new(false),
        }
    }

    /// What is awaited from now on.
    pub(super) fn say(&self, awaited: String) {
        self.bar.set_message(awaited.clone());
        self.awaited.send_replace(awaited);
    }

    /// Says after a while what it waits for, and returns at the end of its patience, with the reason.
    pub(super) async fn impatience(&self) -> anyhow::Error {
        let at_most = humantime::format_duration(self.at_most);
        if self.at_most > NOTICE {
            sleep_until(self.began + NOTICE).await;
            if !self.noticed.swap(true, Ordering::Relaxed) {
                let (notice, awaited) = (humantime::format_duration(NOTICE), self.awaited.borrow().clone());
                let notice = format!("not ready after {notice}: still {awaited}; giving up after {at_most} (--wait-timeout)");
                self.bar.suspend(|| eprintln!("{notice}"));
            }
        }
        sleep(self.at_most.saturating_sub(self.began.elapsed())).await;
        anyhow!(
            "not ready within {at_most}: still {}; -v shows what happens meanwhile, --wait-timeout 5m waits longer",
            *self.awaited.borrow()
        )
    }

    /// Nothing is awaited any more.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_in_vain_is_told_for_what_and_when_it_ends() {
        let (progress, began) = (Progress::new(Duration::from_secs(90)), Instant::now());
        progress.say("starting master-1".to_owned());
        let waited = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            progress.say("waiting for a leader".to_owned());
            std::future::pending::<()>().await;
        };
        let error = tokio::select! {
            error = progress.impatience() => error.to_string(),
            () = waited => unreachable!(),
        };
        assert!(
            error.starts_with("not ready within 1m 30s: still waiting for a leader; "),
            "{error}"
        );
        assert_eq!(began.elapsed().as_secs(), 90);
        assert!(progress.noticed.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_that_was_used_up_before_is_not_given_again() {
        let (progress, began) = (Progress::new(Duration::from_secs(20)), Instant::now());
        tokio::time::sleep(Duration::from_secs(15)).await;
        progress.impatience().await;
        assert_eq!(began.elapsed().as_secs(), 20);
        assert!(!progress.noticed.load(Ordering::Relaxed));
    }
}
