//! API keys and callers, as clients see them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of `POST /auth/keys`. Unknown fields are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Name for people.
    pub name: String,
    /// What it may do: `role:namespaces:resources`, as in `writer:team-*:cache,kv`; `admin` for everything.
    pub grants: Vec<String>,
    /// How long it works: seconds or a duration such as `30d`; for ever unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
}

/// Body of `POST /auth/keys/{id}/rotate`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// How long the old secret works beside the new one: seconds or a duration, `0` for not at all; an hour unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<String>,
}

/// How an API key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyStatus {
    /// It works.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody took it back.
    Revoked,
}

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// Its public name: what stands between `eck_` and the next `_`.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// What it may do.
    pub grants: Vec<String>,
    /// Whether it works.
    pub status: KeyStatus,
    /// Who made it.
    pub created_by: String,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// From when on it does not work, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    /// When its secret was changed last, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at_ms: Option<u64>,
    /// Until when the secret before works too, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_until_ms: Option<u64>,
    /// When it was revoked, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<u64>,
    /// When it was used last, Unix milliseconds, to a minute; absent when it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at_ms: Option<u64>,
}

/// An API key with its text, which is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuedKey {
    /// What to send as `Authorization: Bearer …`. Nobody can show it again.
    pub key: String,
    /// All else about it.
    #[serde(flatten)]
    pub about: ApiKey,
}

impl std::fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedKey")
            .field("about", &self.about)
            .finish_non_exhaustive()
    }
}

/// A page of API keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKeyList {
    /// In order of their ids.
    pub items: Vec<ApiKey>,
    /// Give it as `after` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Whether callers have to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Everybody may do everything.
    Off,
    /// They have to.
    On,
}

/// How a caller is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CallerKind {
    /// By an API key.
    Key,
    /// By a JSON Web Token.
    Token,
    /// By the root key of the settings.
    Root,
    /// Not at all: authentication is off.
    Anonymous,
}

/// Answer of `GET /auth/whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhoAmI {
    /// Whether callers have to be known.
    pub auth: AuthMode,
    /// How the caller is known.
    pub kind: CallerKind,
    /// Of a key its id, of a token its subject.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// What the caller may do.
    pub grants: Vec<String>,
    /// When that ends, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
}
