//! What the engine spawns for a task costs the task too.
//!
//! Sorts, merges and decoders run parts of themselves as tasks and on blocking threads of their own. The engine lets one hook
//! see all of these; this one carries the meter of the task that spawns into what it spawns.

use std::any::Any;

use datafusion::common::runtime::{JoinSetTracer, set_join_set_tracer};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::meter::Meter;

type Erased = Box<dyn Any + Send>;

struct Metered;

impl JoinSetTracer for Metered {
    fn trace_future(&self, future: BoxFuture<'static, Erased>) -> BoxFuture<'static, Erased> {
        match Meter::current() {
            Some(meter) => meter.measure(future).boxed(),
            None => future,
        }
    }

    fn trace_block(&self, work: Box<dyn FnOnce() -> Erased + Send>) -> Box<dyn FnOnce() -> Erased + Send> {
        match Meter::current() {
            Some(meter) => Box::new(move || meter.measure_blocking(work)),
            None => work,
        }
    }
}

/// Installs the hook. It has no state of its own, so that all engines of a process share it.
pub(crate) fn follow_spawned_work() {
    // Set already by another engine, which is just as well.
    let _ = set_join_set_tracer(&Metered);
}
