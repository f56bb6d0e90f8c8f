//! What every public request passes before its handler: limits and the audit log's eye. The order: first the limits of the address, before
//! credentials are looked at, so that guessing is limited; then who it is; then the limits of whoever that is; then what they may.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use telemetry::Registry;
use telemetry::audit::Actor;
use transport::ApiError;
use transport::server::{Admission, Escort, Gate};

use super::audit::Witness;
use super::limits::{Passage, Throttle};
use crate::Settings;
use crate::app::audit::Auditor;

/// All who have no identity together.
const ANONYMOUS: &str = "anonymous";

/// The entrance of a master.
pub(crate) struct Entrance {
    throttle: Throttle,
    auditor: Arc<Auditor>,
}

/// A request on its way through it, and back.
pub(crate) struct Visit {
    passage: Passage,
    witness: Witness,
}

impl Entrance {
    /// With the limits of these settings.
    pub(crate) fn new(settings: &Settings, auditor: Arc<Auditor>, registry: &Registry) -> Self {
        Self {
            throttle: Throttle::new(settings, registry),
            auditor,
        }
    }

    /// Somebody comes: held to the limits of their address. The visit goes on with the answer, a refusal too.
    pub(crate) fn arrive(&self, request: &Request) -> (Visit, Result<(), ApiError>) {
        let (passage, outcome) = self.throttle.arrive(request);
        let witness = Witness::new(&self.auditor, passage.address(), request);
        (Visit { passage, witness }, outcome)
    }

    /// It is known who they are: held to limits of their own, counted under `id`.
    pub(crate) fn identified(&self, visit: &mut Visit, path: &str, id: &str, actor: Actor) -> Result<(), ApiError> {
        visit.witness.is_from(actor);
        self.throttle.identified(&mut visit.passage, path, id)
    }
}

impl Visit {
    /// Whether the answer matters to nobody here, unless it is a refusal.
    pub(crate) const fn is_plain(&self) -> bool {
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
        let (mut visit, outcome) = self.arrive(request);
        let path = request.uri().path();
        match outcome.and_then(|()| self.identified(&mut visit, path, ANONYMOUS, Actor::anonymous())) {
            // Most requests are none of our business from here on.
            Ok(()) if visit.is_plain() => Admission::granted(),
            Ok(()) => Admission::granted().escorted(Box::new(visit)),
            Err(refusal) => Admission::refused(refusal).escorted(Box::new(visit)),
        }
    }
}

impl std::fmt::Debug for Entrance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entrance")
            .field("throttle", &self.throttle)
            .finish_non_exhaustive()
    }
}
