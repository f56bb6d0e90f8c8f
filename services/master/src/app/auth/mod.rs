//! Who callers are, and the keys they show.
//!
//! Whether somebody is known is decided in memory, on every request: [`Identities`] asks nobody. The keys' records are followed in
//! the control store by [`Keyring::run`], so that a revocation holds on every master as soon as the change has come, and the key
//! set that signs tokens is read again by [`Tokens::run`].

mod api_keys;
mod identities;
mod keyring;
mod leave;
mod records;
mod signers;
mod tokens;
mod used;

pub use api_keys::{ApiKeys, Error, Page, Wanted};
pub use identities::{Identities, Unknown};
pub use keyring::{Key, Keyring};
pub use leave::check_job;
pub use signers::Source;
pub(crate) use signers::is_url;
pub use tokens::Tokens;

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in Unix milliseconds.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
