//! Calls of other nodes, taken off the wire.

use std::sync::Arc;

use api::ErrorCode;
use async_trait::async_trait;
use bytes::Bytes;
use cache::owner::{Call, Owner, Refused};
use cache::{Clock, Kind, Skew};
use transport::ApiError;
use transport::frames::FrameHandler;

/// Hands calls to the owner.
#[derive(Debug)]
pub(crate) struct Frames {
    owner: Arc<Owner>,
    clock: Clock,
    /// How far the clocks of callers are ahead.
    skew: Skew,
}

impl Frames {
    /// Of callers whose clocks are taken for right.
    pub(crate) fn new(owner: Arc<Owner>, clock: Clock) -> Self {
        let skew = Skew::default();
        Self { owner, clock, skew }
    }
}

#[async_trait]
impl FrameHandler for Frames {
    async fn handle(&self, call: transport::frames::Call, body: Bytes) -> Result<Bytes, ApiError> {
        let kind = Kind::from_wire(call.kind);
        let kind = kind.ok_or_else(|| ApiError::invalid(format!("there is no call of kind {}", call.kind)))?;
        let call = Call {
            kind,
            boot_id: call.boot_id,
            epoch: call.epoch,
            skew: self.skew,
        };
        self.owner.answer(call, body).await.map_err(|refused| refusal(&refused))
    }

    fn for_caller_at(&self, now_ms: u64) -> Option<Arc<dyn FrameHandler>> {
        let skew = Skew::between(now_ms, self.clock.now_ms());
        let (owner, clock) = (Arc::clone(&self.owner), self.clock.clone());
        (!skew.is_none()).then(|| Arc::new(Self { owner, clock, skew }) as _)
    }

    fn name(&self, kind: u8) -> &'static str {
        match Kind::from_wire(kind) {
            Some(Kind::Batch) => "batch",
            Some(Kind::Replica) => "replica",
            Some(Kind::Digests) => "digests",
            Some(Kind::Page) => "page",
            Some(Kind::Handover) => "handover",
            None => "unknown",
        }
    }
}

/// What a refusal is to callers: everything but nonsense means that nothing was done, and that the ring should be looked up.
pub(crate) fn refusal(refused: &Refused) -> ApiError {
    match refused {
        Refused::OtherLife { .. } | Refused::OtherEpoch { .. } | Refused::Stranger(_) | Refused::Overtaken => {
            ApiError::new(ErrorCode::Conflict, refused.to_string())
        }
        Refused::Malformed(source) => ApiError::invalid(format!("{refused}: {source}")),
        Refused::Unwritable(_) => ApiError::internal(refused),
    }
}
