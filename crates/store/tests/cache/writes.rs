//! Writes without ado.

use api::cache::{Lifetime, Packing};
use store::cache::{Condition, Put};

/// A value for ever.
pub(crate) fn put(value: &[u8], version: u64) -> Put<'_> {
    Put {
        value,
        content_type: "",
        packing: Packing::Plain,
        lifetime: Lifetime::default(),
        version,
        condition: Condition::None,
    }
}

/// A life that ends then; never when that is 0.
pub(crate) const fn until(expires_at_ms: u64) -> Lifetime {
    Lifetime {
        fresh_until_ms: 0,
        expires_at_ms,
    }
}
