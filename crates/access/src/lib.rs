//! Who is asking, and what they may do: API keys, tokens, roles, and the one table of rules.
//!
//! Nothing here waits or talks to anybody. A [`Caller`] has [`Grant`]s; a [`Rule`] says what a route wants of them; what no grant
//! allows is denied. Where keys are kept, and how requests are looked at, is the master's.

mod caller;
mod grant;
mod key;
mod key_hash;
mod pattern;
mod role;
mod rules;
mod signers;
mod token;

pub use caller::{Caller, Denied, Kind, Place};
pub use grant::{Grant, InvalidGrant};
pub use key::{KEY_PREFIX, KeyRecord, KeyState, Presented, generate};
pub use key_hash::KeyHash;
pub use pattern::{DEFAULT_NAMESPACE, InvalidPattern, Pattern};
pub use role::{Action, Resource, Resources, Role};
pub use rules::{Found, RULES, Row, Rule, find};
pub use signers::{InvalidSigners, Signers};
pub use token::{Expected, Refused, TokenCaller, looks_like_token};
