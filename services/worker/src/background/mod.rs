//! What a worker does by itself.

pub(crate) mod poll;
