//! Settings of who may do what, and what is wrong with them.

use std::net::IpAddr;
use std::time::Duration;

use access::Expected;
use serde::{Deserialize, Serialize};

use super::Settings;
use crate::app::auth::is_url;

/// Shortest root key: what is shorter can be guessed, sooner or later.
const MIN_ROOT_KEY: usize = 32;
/// Shortest trust in keys while the control store is silent: an election is no reason to refuse anybody.
const MIN_SILENCE: Duration = Duration::from_secs(5);

/// Whether callers of the public API have to be known (`AUTH`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Everybody who reaches the port may do everything.
    #[default]
    Off,
    /// They show an API key, a token or the root key, and may do what these are for.
    On,
}

impl Settings {
    /// What tokens must say, where there are any.
    pub(crate) fn expected_tokens(&self) -> Option<Expected> {
        let issuer = Some(self.auth_issuer.clone()).filter(|issuer| !issuer.is_empty());
        (!self.auth_jwks.is_empty()).then(|| Expected {
            audience: self.auth_audience.clone(),
            issuer,
        })
    }

    pub(super) fn problems_of_auth(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut refuse = |wrong: bool, sentence: &str| {
            if wrong {
                problems.push(sentence.to_owned());
            }
        };
        let root = self.elasticore_root_key.expose();
        refuse(
            !root.is_empty() && root.len() < MIN_ROOT_KEY,
            "ELASTICORE_ROOT_KEY is shorter than 32 characters: make one with `elasticore auth generate`",
        );
        refuse(
            ["eck_", "eyJ"].iter().any(|taken| root.starts_with(taken)) || !root.bytes().all(|byte| byte.is_ascii_graphic()),
            "ELASTICORE_ROOT_KEY must be visible ASCII without spaces, and begin neither like an API key (eck_) nor like a token (eyJ)",
        );
        refuse(
            !root.is_empty() && root == self.cluster_token.expose(),
            "ELASTICORE_ROOT_KEY is the CLUSTER_TOKEN: every node has that, and none of them is to be an administrator",
        );
        let (jwks, audience) = (!self.auth_jwks.is_empty(), !self.auth_audience.is_empty());
        refuse(
            jwks && !audience,
            "AUTH_JWKS needs AUTH_AUDIENCE: without it a token for any other service would be good here",
        );
        refuse(
            !jwks && (audience || !self.auth_issuer.is_empty()),
            "AUTH_AUDIENCE and AUTH_ISSUER are for tokens: set AUTH_JWKS too",
        );
        refuse(
            is_url(&self.auth_jwks) && !is_safe(&self.auth_jwks),
            "AUTH_JWKS is read over plain http://, where anybody on the way can put keys of their own: use https://, or a file",
        );
        refuse(self.auth_max_silence.0 < MIN_SILENCE, "AUTH_MAX_SILENCE must be at least 5s");
        problems
    }
}

/// Whether nobody is on the way: TLS, or this machine alone.
fn is_safe(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return true;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
