//! What became of one operation, before it is written down.

use api::ErrorCode;
use api::cache::FrameReply;
use store::cache::{Hit, Refusal};

use crate::Skew;

/// Room for what a reply has besides a value.
const REPLY_OVERHEAD: usize = 48;

/// What became of one operation.
#[derive(Debug)]
pub(super) enum Outcome {
    Hit { hit: Hit, load: bool },
    Plain(FrameReply<'static>),
    Failed(ErrorCode, String),
}

impl Outcome {
    /// Certainly not executed: look at the ring and send it again.
    pub(super) fn elsewhere(detail: &str) -> Self {
        Self::Failed(ErrorCode::Conflict, detail.to_owned())
    }

    /// Executed here, and not yet at every other owner.
    pub(super) fn unsettled(detail: &str) -> Self {
        Self::Failed(ErrorCode::Timeout, detail.to_owned())
    }

    pub(super) fn reply(&self, told: Skew) -> FrameReply<'_> {
        match self {
            Self::Hit { hit, load } => FrameReply::Hit {
                value: hit.value(),
                content_type: hit.content_type(),
                packing: hit.packing(),
                version: hit.version(),
                lifetime: told.lifetime(hit.lifetime()),
                load: *load,
            },
            Self::Plain(reply) => reply.clone(),
            Self::Failed(code, detail) => FrameReply::Failed { code: *code, detail },
        }
    }

    pub(super) fn weight(&self) -> usize {
        REPLY_OVERHEAD
            + match self {
                Self::Hit { hit, .. } => hit.value().len() + hit.content_type().len(),
                Self::Plain(_) => 0,
                Self::Failed(_, detail) => detail.len(),
            }
    }
}

impl From<Result<FrameReply<'static>, Refusal>> for Outcome {
    fn from(result: Result<FrameReply<'static>, Refusal>) -> Self {
        let refusal = match result {
            Ok(reply) => return Self::Plain(reply),
            Err(refusal) => refusal,
        };
        match refusal {
            Refusal::PreconditionFailed { held } => Self::Plain(FrameReply::PreconditionFailed {
                version: held.unwrap_or(0),
            }),
            Refusal::Stale { held } => Self::Plain(FrameReply::Stale { version: held }),
            Refusal::TooLarge { .. } => Self::Failed(ErrorCode::TooLarge, refusal.to_string()),
            Refusal::ContentTypeTooLong { .. } | Refusal::NotAnInteger | Refusal::Overflow => {
                Self::Failed(ErrorCode::InvalidArgument, refusal.to_string())
            }
        }
    }
}
