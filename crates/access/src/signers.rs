//! Who may sign tokens: the keys of a JSON Web Key Set (RFC 7517), as far as they are for what is accepted here.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Most keys of a set.
const MAX_KEYS: usize = 100;
/// Shortest modulus of an RSA key, bytes: what is shorter can be factored, sooner or later.
const MIN_MODULUS_BYTES: usize = 256;

/// Public keys by their ids, each for one algorithm: a token cannot choose another.
#[derive(Debug, Clone, Default)]
pub struct Signers {
    keys: HashMap<String, Signer>,
}

#[derive(Debug, Clone)]
pub(crate) struct Signer {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

/// Why a key set is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSigners {
    /// It is not one at all.
    #[error(
        "this is no JSON Web Key Set ({0}): it looks like {{\"keys\":[{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"…\",\"x\":\"…\"}}]}}"
    )]
    NotASet(String),
    /// None of its keys can be used.
    #[error("no key of the set can be used: {0}")]
    NoneUsable(String),
    /// Two keys have one id.
    #[error("two keys of the set have the kid {0:?}")]
    Ambiguous(String),
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

impl Signers {
    /// Reads a set. Keys that are for other things are left out; a set without any that is of use is an error.
    ///
    /// # Errors
    /// When there is nothing to verify tokens by.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidSigners> {
        let set: Set = serde_json::from_slice(json).map_err(|error| InvalidSigners::NotASet(error.to_string()))?;
        if set.keys.len() > MAX_KEYS {
            return Err(InvalidSigners::NotASet(format!("it has more than {MAX_KEYS} keys")));
        }
        let (mut keys, mut reasons) = (HashMap::new(), Vec::new());
        for value in set.keys {
            match signer(value) {
                Ok((kid, signer)) => {
                    if keys.insert(kid.clone(), signer).is_some() {
                        return Err(InvalidSigners::Ambiguous(kid));
                    }
                }
                Err(reason) => reasons.push(reason),
            }
        }
        if keys.is_empty() {
            reasons.dedup();
            return Err(InvalidSigners::NoneUsable(if reasons.is_empty() {
                "there is none".to_owned()
            } else {
                reasons.join("; ")
            }));
        }
        Ok(Self { keys })
    }

    /// The ids, in order.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.keys.keys().map(String::as_str).collect();
        ids.sort_unstable();
        ids
    }

    pub(crate) fn get(&self, kid: &str) -> Option<&Signer> {
        self.keys.get(kid)
    }
}

/// A key and its id, or why it is of no use.
fn signer(value: Value) -> Result<(String, Signer), String> {
    let jwk: Jwk = serde_json::from_value(value).map_err(|error| format!("a key is not understood ({error})"))?;
    let kid = jwk.common.key_id.clone().filter(|kid| !kid.is_empty());
    let kid = kid.ok_or("a key has no kid, by which tokens name it")?;
    let refuse = |why: &str| Err(format!("{kid:?} {why}"));
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        AlgorithmParameters::RSA(rsa) => {
            let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).unwrap_or_default();
            if modulus.iter().skip_while(|byte| **byte == 0).count() < MIN_MODULUS_BYTES {
                return refuse("is an RSA key of fewer than 2048 bits");
            }
            Algorithm::RS256
        }
        _ => return refuse("is neither an Ed25519 nor an RSA public key"),
    };
    let named = jwk.common.key_algorithm.is_none_or(|named| {
        matches!(
            (named, algorithm),
            (KeyAlgorithm::EdDSA, Algorithm::EdDSA) | (KeyAlgorithm::RS256, Algorithm::RS256)
        )
    });
    if !named {
        return refuse("is for another algorithm than EdDSA or RS256");
    }
    let signs = jwk
        .common
        .public_key_use
        .as_ref()
        .is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let operations = jwk.common.key_operations.as_ref();
    if !signs || operations.is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
        return refuse("is not for signatures");
    }
    match DecodingKey::from_jwk(&jwk) {
        Ok(key) => Ok((kid, Signer { algorithm, key })),
        Err(error) => refuse(&format!("is damaged ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn parse(keys: &Value) -> Result<Signers, InvalidSigners> {
        Signers::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn keys_for_other_things_are_left_out() {
        let signers = parse(&json!([
            { "kty": "OKP", "crv": "Ed25519", "kid": "good", "x": X },
            { "kty": "oct", "kid": "shared", "k": "c2VjcmV0" },
            { "kty": "EC", "crv": "P-256", "kid": "ec", "x": X, "y": X },
            { "kty": "future", "kid": "new" },
            { "kty": "OKP", "crv": "Ed25519", "x": X },
            { "kty": "OKP", "crv": "Ed25519", "kid": "enc", "use": "enc", "x": X },
            { "kty": "OKP", "crv": "Ed25519", "kid": "hs", "alg": "HS256", "x": X },
            { "kty": "RSA", "kid": "short", "n": "AQAB", "e": "AQAB" },
        ]));
        assert_eq!(signers.unwrap().ids(), ["good"]);
    }

    #[test]
    fn sets_of_no_use_are_refused_with_the_reason() {
        for (keys, said) in [
            (json!([]), "there is none"),
            (
                json!([{ "kty": "oct", "kid": "shared", "k": "c2VjcmV0" }]),
                "neither an Ed25519 nor an RSA",
            ),
            (
                json!([{ "kty": "RSA", "kid": "short", "n": "AQAB", "e": "AQAB" }]),
                "2048 bits",
            ),
            (
                json!([{ "kty": "OKP", "crv": "Ed25519", "kid": "a", "x": X }, { "kty": "OKP", "crv": "Ed25519", "kid": "a", "x": X }]),
                "have the kid \"a\"",
            ),
        ] {
            let error = parse(&keys).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        for wrong in ["", "[]", "{}", "{\"keys\":{}}", "nonsense"] {
            assert!(
                matches!(Signers::parse(wrong.as_bytes()), Err(InvalidSigners::NotASet(_))),
                "{wrong}"
            );
        }
    }
}
