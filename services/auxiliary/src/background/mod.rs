//! What keeps an auxiliary as it should be.

pub(crate) mod follow_ring;
pub(crate) mod sweep;
