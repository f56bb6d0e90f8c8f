//! A short list of owners, on the stack.

use std::ops::Deref;

/// Most owners a key can have.
pub const MAX_OWNERS: usize = 8;

/// Indices of members (see [`Ring::member`](crate::Ring::member)), the primary first. Lives on the stack: the cache asks
/// for one per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owners {
    indices: [u32; MAX_OWNERS],
    len: usize,
}

impl Owners {
    /// Appends one; the caller has bounded the count by [`MAX_OWNERS`].
    pub(crate) fn push(&mut self, index: u32) {
        self.indices[self.len] = index;
        self.len += 1;
    }
}

impl Deref for Owners {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.indices[..self.len]
    }
}
