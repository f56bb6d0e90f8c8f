//! What every public request passes before its handler. The order: first the limits of its address, before credentials are looked at, so that
//! guessing is limited; then who asks; then the limits of whoever that is; then what they may. The audit log sees how it ends.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use telemetry::Registry;
use transport::ApiError;
use transport::server::{Admission, Escort, Gate};

use super::audit::Witness;
use super::gate::Front;
use super::limits::{Passage, Throttle};
use crate::Settings;
use crate::app::audit::Auditor;

/// The entrance of a master.
#[derive(Debug)]
pub(crate) struct Entrance {
    throttle: Throttle,
    front: Front,
    auditor: Arc<Auditor>,
}

/// A request on its way through it, and back.
struct Visit {
    passage: Passage,
    witness: Witness,
}

impl Entrance {
    /// With the limits of these settings.
    pub(crate) fn new(front: Front, settings: &Settings, auditor: Arc<Auditor>, registry: &Registry) -> Self {
        Self {
            throttle: Throttle::new(settings, registry),
            front,
            auditor,
        }
    }

    fn pass(&self, request: &mut Request, visit: &mut Visit) -> Result<(), ApiError> {
        let judged = self.front.judge(request);
        // Who is nobody, where somebody is wanted, is held to the limits of the address alone.
        if let Some(caller) = &judged.caller {
            visit.witness.is_from(caller);
            self.throttle.identified(&mut visit.passage, request.uri().path(), caller)?;
        }
        self.front.decide(request, judged)
    }
}

impl Visit {
    /// Whether the answer matters to nobody here, unless it is a refusal.
    const fn is_plain(&self) -> bool {
        self.passage.is_plain() && !self.witness.sees_operation()
    }
}

impl Escort for Visit {
    fn leave(&mut self, response: &mut Response) {
        self.passage.leave(response);
        self.witness.leave(response);
    }
}

impl Gate for Entrance {
    fn admit(&self, request: &mut Request) -> Admission {
        let (passage, outcome) = self.throttle.arrive(request);
        let witness = Witness::new(&self.auditor, passage.address(), request);
        let mut visit = Visit { passage, witness };
        match outcome.and_then(|()| self.pass(request, &mut visit)) {
            // Where nobody is refused later, most requests are none of our business from here on.
            Ok(()) if !self.front.is_on() && visit.is_plain() => Admission::granted(),
            Ok(()) => Admission::granted().escorted(Box::new(visit)),
            Err(refusal) => Admission::refused(refusal).escorted(Box::new(visit)),
        }
    }
}
