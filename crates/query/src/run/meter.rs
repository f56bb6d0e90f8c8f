//! What a task costs, counted while it runs.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use rustix::time::{ClockId, clock_gettime};

/// Counters of one task. Whatever it does on any thread is added here.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    cpu_nanos: AtomicU64,
    bytes_read: AtomicU64,
    reserved: AtomicUsize,
    peak: AtomicUsize,
}

tokio::task_local! {
    /// The meter of the task that is being polled.
    static CURRENT: Arc<Meter>;
}

impl Meter {
    /// The meter of whoever calls, when that is a task.
    pub(super) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// Runs a future on this meter: the processor time of its polls counts, and so does what it spawns through the engine.
    pub(super) fn measure<F: Future + Send>(self: Arc<Self>, work: F) -> impl Future<Output = F::Output> + Send {
        let timed = Timed {
            work: Box::pin(work),
            meter: Arc::clone(&self),
        };
        CURRENT.scope(self, timed)
    }

    /// The same for work that blocks its thread.
    pub(super) fn measure_blocking<T>(self: Arc<Self>, work: impl FnOnce() -> T) -> T {
        let started = thread_cpu_nanos();
        let done = CURRENT.sync_scope(Arc::clone(&self), work);
        self.add_cpu(started);
        done
    }

    pub(crate) fn add_read(&self, bytes: u64) {
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn reserve(&self, bytes: usize) {
        let now = self.reserved.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(now, Ordering::Relaxed);
    }

    pub(super) fn release(&self, bytes: usize) {
        self.reserved.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn cpu_ms(&self) -> u64 {
        self.cpu_nanos.load(Ordering::Relaxed).div_ceil(1_000_000)
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    pub(super) fn peak_memory(&self) -> u64 {
        self.peak.load(Ordering::Relaxed) as u64
    }

    fn add_cpu(&self, started: u64) {
        let spent = thread_cpu_nanos().saturating_sub(started);
        self.cpu_nanos.fetch_add(spent, Ordering::Relaxed);
    }
}

/// A future whose polls are timed.
struct Timed<F> {
    work: Pin<Box<F>>,
    meter: Arc<Meter>,
}

impl<F: Future> Future for Timed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let started = thread_cpu_nanos();
        let polled = self.work.as_mut().poll(cx);
        self.meter.add_cpu(started);
        polled
    }
}

/// Processor time of this thread so far.
fn thread_cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    u64::try_from(nanos).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[tokio::test]
    async fn work_costs_and_waiting_does_not() {
        let meter = Arc::new(Meter::default());
        Arc::clone(&meter)
            .measure(tokio::time::sleep(Duration::from_millis(60)))
            .await;
        assert!(meter.cpu_ms() < 30, "waiting cost {} ms", meter.cpu_ms());
        let busy = async {
            let until = thread_cpu_nanos() + 40_000_000;
            let late = Instant::now() + Duration::from_secs(20);
            while thread_cpu_nanos() < until && Instant::now() < late {
                std::hint::spin_loop();
            }
        };
        Arc::clone(&meter).measure(busy).await;
        assert!(meter.cpu_ms() >= 40, "work cost {} ms", meter.cpu_ms());
    }

    #[test]
    fn the_peak_stays_when_memory_is_given_back() {
        let meter = Meter::default();
        meter.reserve(30);
        meter.release(20);
        meter.reserve(15);
        assert_eq!(meter.peak_memory(), 30);
    }
}
