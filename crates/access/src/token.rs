//! JSON Web Tokens (RFC 7519): signed by EdDSA or RS256, by a key of the operator's set, for this cluster, and in time.
//!
//! The key is found by `kid` and says itself which algorithm it is for, so a token can neither ask for none nor have a public key
//! taken for a shared secret (RFC 8725, sections 3.1 and 3.2).

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode, decode_header};
use serde::Deserialize;

use crate::{Caller, Grant, Kind, Signers};

/// Clocks that differ by so many seconds are right.
const LEEWAY_SECONDS: u64 = 10;
/// Longest token.
const MAX_BYTES: usize = 8 * 1024;
/// Longest subject that is shown.
const MAX_SUBJECT: usize = 128;

/// What tokens must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// One of their `aud`.
    pub audience: String,
    /// Their `iss`, if that matters.
    pub issuer: Option<String>,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no token, or is signed in a way that is not accepted.
    #[error("the token is not accepted: {0}")]
    Invalid(&'static str),
    /// Its claims are not right.
    #[error("the token is not accepted: {0}")]
    Claims(String),
    /// The key that signed it is not in the set; perhaps it is a new one.
    #[error("the token is signed by a key that this master does not know (kid {0:?}): the key set is read again")]
    UnknownKey(String),
}

/// Who has a token, and until when it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCaller {
    /// Who.
    pub caller: Caller,
    /// Unix seconds, with the leeway.
    pub until: u64,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: String,
    #[serde(default)]
    name: Option<String>,
    exp: f64,
    #[serde(default)]
    elasticore: Vec<String>,
}

/// Whether a credential has the form of a token: three parts with dots between them.
#[must_use]
pub fn looks_like_token(text: &str) -> bool {
    text.starts_with("eyJ") && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl Signers {
    /// Who has this token. What they may is in its claim `elasticore`, a list of grants.
    ///
    /// # Errors
    /// Whatever is wrong with it. Nothing of the token is in the error but its `kid`.
    pub fn verify(&self, token: &str, expected: &Expected) -> Result<TokenCaller, Refused> {
        if token.len() > MAX_BYTES {
            return Err(Refused::Invalid("it is longer than 8 KiB"));
        }
        let header = decode_header(token).map_err(|_| Refused::Invalid("its header names no algorithm that is accepted"))?;
        if header.crit.is_some() {
            return Err(Refused::Invalid("it has critical extensions, and none is known here"));
        }
        let kid = header.kid.ok_or(Refused::Invalid("its header has no kid"))?;
        let signer = self.get(&kid);
        let signer = signer.ok_or_else(|| Refused::UnknownKey(kid.chars().take(MAX_SUBJECT).collect()))?;
        if header.alg != signer.algorithm {
            return Err(Refused::Invalid("its algorithm is not that of the key it names"));
        }
        let mut validation = Validation::new(signer.algorithm);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_audience(&[&expected.audience]);
        validation.set_required_spec_claims(&["exp", "aud"]);
        if let Some(issuer) = &expected.issuer {
            validation.set_issuer(&[issuer]);
            validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        }
        let claims = decode::<Claims>(token, &signer.key, &validation)
            .map_err(|error| refused(error.kind()))?
            .claims;
        let grants: Result<Vec<Grant>, _> = claims.elasticore.iter().map(|grant| grant.parse()).collect();
        let grants = grants.map_err(|error| Refused::Claims(format!("in its claim elasticore, {error}")))?;
        let subject: String = claims.sub.chars().filter(|c| !c.is_control()).take(MAX_SUBJECT).collect();
        let name = claims.name.unwrap_or_default();
        let name: String = name.chars().filter(|c| !c.is_control()).take(MAX_SUBJECT).collect();
        // Claims beyond what a number of seconds can be were refused above; this is exact for all that were not.
        let until = (claims.exp as u64).saturating_add(LEEWAY_SECONDS);
        Ok(TokenCaller {
            caller: Caller {
                id: subject.into(),
                name: name.into(),
                kind: Kind::Token,
                grants,
                expires_at_ms: Some(until.saturating_mul(1000)),
            },
            until,
        })
    }
}

fn refused(kind: &ErrorKind) -> Refused {
    Refused::Invalid(match kind {
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it is not valid yet (nbf)",
        ErrorKind::InvalidAudience => "it is for another audience (aud)",
        ErrorKind::InvalidIssuer => "it is of another issuer (iss)",
        ErrorKind::InvalidSignature => "its signature is not right",
        ErrorKind::MissingRequiredClaim(claim) => {
            return Refused::Claims(format!("it has no claim {claim}"));
        }
        ErrorKind::InvalidClaimFormat(claim) => {
            return Refused::Claims(format!("its claim {claim} has not the right form"));
        }
        _ => "it is damaged",
    })
}

#[cfg(test)]
#[path = "token/tests.rs"]
mod tests;
