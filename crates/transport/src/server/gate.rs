//! What decides, before its handler is called, whether a request goes on: who asks, what they may, how much of it.

use std::fmt;
use std::net::SocketAddr;

use axum::extract::Request;
use axum::response::Response;

use crate::ApiError;

/// Decides about requests of a listener. It sees their heads, and does not wait: what it needs to know is at hand.
pub trait Gate: fmt::Debug + Send + Sync {
    /// Lets a request pass, with what its handler should know in the request's extensions, or refuses it.
    fn admit(&self, request: &mut Request) -> Admission;

    /// A request to a private listener was refused before it came here: whoever sent it is no node of the cluster.
    fn turned_away(&self, _request: &Request, _refusal: &ApiError) {}
}

/// Goes with a request from the gate to its end: dropped when the answer's head has been sent, or nobody waits for it any more.
pub trait Escort: Send + Sync {
    /// The answer is about to leave.
    fn leave(&mut self, response: &mut Response);
}

/// What a gate says of a request.
#[must_use]
pub struct Admission {
    pub(super) refusal: Option<ApiError>,
    pub(super) escort: Option<Box<dyn Escort>>,
}

impl Admission {
    /// It goes on.
    pub const fn granted() -> Self {
        Self {
            refusal: None,
            escort: None,
        }
    }

    /// It does not, and this is the answer.
    pub const fn refused(refusal: ApiError) -> Self {
        Self {
            refusal: Some(refusal),
            escort: None,
        }
    }

    /// With somebody who sees the answer, a refusal too.
    pub fn escorted(mut self, escort: Box<dyn Escort>) -> Self {
        self.escort = Some(escort);
        self
    }
}

/// Where a connection comes from; every request has it among its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);
