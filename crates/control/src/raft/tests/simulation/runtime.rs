//! What the engine runs on in tests: tokio, and, inside a simulated process, one whose chance comes from a seed and whose
//! tasks can be stopped, or held up, all at once. Outside of one it is tokio as it is.
//!
//! What stays true: nothing in a process depends on anything but its seed and the order in which it is called. Tokio's watch
//! channel wakes those who wait in an order of chance, so this runtime has one of its own.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fastrand::Rng;
use futures::FutureExt as _;
use openraft::OptionalSend;
use openraft::rt::AsyncRuntime;
use openraft::rt::deterministic_rng::DeterministicRng;
use openraft_rt_tokio::TokioRuntime;
use parking_lot::Mutex;
use tokio::task::{AbortHandle, JoinHandle};
use uuid::Uuid;

pub(crate) use super::clock::now;

use super::clock::Moment;
use super::watched::Watched;

tokio::task_local! {
    static PROCESS: Arc<Process>;
}

/// A random id, of the process's chance.
pub(crate) fn new_id() -> Uuid {
    match PROCESS.try_with(Arc::clone) {
        Ok(process) => {
            let mut rng = process.rng.lock();
            Uuid::from_u64_pair(rng.u64(..), rng.u64(..))
        }
        Err(_) => Uuid::new_v4(),
    }
}

/// How far the clock of the process is ahead of tokio's.
pub(super) fn ahead() -> Duration {
    let ahead = PROCESS.try_with(|process| process.ahead.load(Ordering::Relaxed));
    Duration::from_millis(ahead.unwrap_or(0))
}

/// Name of the process that runs just now.
pub(super) fn process_name() -> String {
    let name = PROCESS.try_with(|process| process.name.clone());
    name.unwrap_or_else(|_| "world".to_owned())
}

/// A master as its operating system sees it.
pub(in crate::raft::tests) struct Process {
    name: String,
    rng: Mutex<Rng>,
    gate: Mutex<Gate>,
    /// Milliseconds by which its clock has jumped ahead.
    ahead: AtomicU64,
}

#[derive(Default)]
struct Gate {
    paused: bool,
    dead: bool,
    /// Who wanted to go on meanwhile.
    parked: Vec<Waker>,
    tasks: Vec<AbortHandle>,
    /// Tasks after which those that have ended are forgotten.
    sweep_at: usize,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.name)
    }
}

impl Process {
    pub(super) fn new(name: &str, rng: Rng) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            rng: Mutex::new(rng),
            gate: Mutex::default(),
            ahead: AtomicU64::new(0),
        })
    }

    /// Runs something as a part of it.
    pub(super) fn spawn<F>(self: &Arc<Self>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = tokio::spawn(Gated {
            process: Arc::clone(self),
            future: Box::pin(PROCESS.scope(Arc::clone(self), future)),
        });
        let mut gate = self.gate.lock();
        if gate.dead {
            task.abort();
        }
        if gate.tasks.len() >= gate.sweep_at {
            gate.tasks.retain(|task| !task.is_finished());
            gate.sweep_at = 2 * gate.tasks.len() + 64;
        }
        gate.tasks.push(task.abort_handle());
        task
    }

    /// Holds it up, as SIGSTOP does; time goes on.
    pub(super) fn pause(&self) {
        self.gate.lock().paused = true;
    }

    /// Lets it go on.
    pub(super) fn resume(&self) {
        let parked = {
            let mut gate = self.gate.lock();
            gate.paused = false;
            std::mem::take(&mut gate.parked)
        };
        parked.into_iter().for_each(Waker::wake);
    }

    /// Makes its clock jump ahead.
    pub(super) fn jump(&self, time: Duration) {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.ahead.fetch_add(time, Ordering::Relaxed);
    }

    /// Whether it has ended.
    pub(super) fn is_dead(&self) -> bool {
        self.gate.lock().dead
    }

    /// Ends it without a word, as SIGKILL does.
    pub(super) fn kill(&self) {
        let tasks = {
            let mut gate = self.gate.lock();
            gate.dead = true;
            std::mem::take(&mut gate.tasks)
        };
        for task in tasks {
            task.abort();
        }
    }
}

struct Gated<T> {
    process: Arc<Process>,
    future: Pin<Box<dyn Future<Output = T> + Send>>,
}

impl<T> Future for Gated<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        {
            let mut gate = self.process.gate.lock();
            if gate.dead {
                return Poll::Pending;
            }
            if gate.paused {
                gate.parked.push(context.waker().clone());
                return Poll::Pending;
            }
        }
        self.future.as_mut().poll(context)
    }
}

/// The runtime.
#[derive(Debug)]
pub(crate) struct Runtime;

type Seeded = DeterministicRng<TokioRuntime>;

impl AsyncRuntime for Runtime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = Moment;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = <Seeded as AsyncRuntime>::ThreadLocalRng;
    type Mpsc = <TokioRuntime as AsyncRuntime>::Mpsc;
    type Watch = Watched;
    type Oneshot = <TokioRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        match PROCESS.try_with(Arc::clone) {
            Ok(process) => process.spawn(future),
            Err(_) => tokio::spawn(future),
        }
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        tokio::time::sleep_until(deadline.on_tokios_clock())
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        tokio::time::timeout_at(deadline.on_tokios_clock(), future)
    }

    fn is_panic(error: &Self::JoinError) -> bool {
        error.is_panic()
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        let seed = PROCESS.try_with(|process| process.rng.lock().u64(..));
        let made = Seeded::scope(seed.unwrap_or_else(|_| fastrand::u64(..)), async { Seeded::thread_rng() });
        made.now_or_never().expect("nothing to wait for")
    }

    fn new(_threads: usize) -> Self {
        Self
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        futures::executor::block_on(future)
    }
}
