//! Tokens that are right, and all the ways in which they are not.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{Action, Resource};

/// Who signs, in all of these tests.
struct Issuer {
    ed: EncodingKey,
    rsa: EncodingKey,
    /// As the set has it: what an attacker can see.
    rsa_public: Value,
    signers: Signers,
}

static ISSUER: LazyLock<Issuer> = LazyLock::new(|| {
    let ed = ed(7);
    let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    // What is inside of PKCS #8 is PKCS #1.
    let rsa = EncodingKey::from_rsa_der(&pair.serialize_der()[26..]);
    let rsa_public = public(&rsa, Algorithm::RS256, "rsa-1");
    let set = json!({ "keys": [public(&ed, Algorithm::EdDSA, "ed-1"), rsa_public] });
    let signers = Signers::parse(set.to_string().as_bytes()).unwrap();
    Issuer {
        ed,
        rsa,
        rsa_public,
        signers,
    }
});

/// A key pair out of a seed (RFC 8410).
fn ed(seed: u8) -> EncodingKey {
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend([seed; 32]);
    EncodingKey::from_ed_der(&der)
}

fn public(key: &EncodingKey, algorithm: Algorithm, kid: &str) -> Value {
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
    jwk["kid"] = kid.into();
    jwk
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn expected() -> Expected {
    Expected {
        audience: "elasticore".to_owned(),
        issuer: Some("https://issuer".to_owned()),
    }
}

fn claims() -> Value {
    json!({
        "sub": "ci", "name": "The builder", "aud": "elasticore", "iss": "https://issuer",
        "exp": now() + 60, "nbf": now() - 60, "elasticore": ["writer:team-*:cache"],
    })
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn header(algorithm: Algorithm, kid: &str) -> Header {
    Header {
        kid: Some(kid.to_owned()),
        ..Header::new(algorithm)
    }
}

fn signed(claims: &Value) -> String {
    encode(&header(Algorithm::EdDSA, "ed-1"), claims, &ISSUER.ed).unwrap()
}

fn verify(token: &str) -> Result<TokenCaller, Refused> {
    ISSUER.signers.verify(token, &expected())
}

#[track_caller]
fn refuses(token: &str, said: &str) {
    let error = verify(token).unwrap_err().to_string();
    assert!(error.contains(said), "{error:?} does not say {said:?}");
}

/// A token whose parts are as given, with a signature by the true key over them.
fn forged(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &ISSUER.ed, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

#[test]
fn both_algorithms_are_accepted_with_the_key_that_is_named() {
    let rsa = encode(&header(Algorithm::RS256, "rsa-1"), &claims(), &ISSUER.rsa).unwrap();
    for token in [signed(&claims()), rsa] {
        assert!(looks_like_token(&token));
        let TokenCaller { caller, until } = verify(&token).unwrap();
        assert_eq!((&*caller.id, &*caller.name, caller.kind), ("ci", "The builder", Kind::Token));
        assert!(caller.may(Resource::Cache, Action::Write, "team-a") && !caller.may(Resource::Kv, Action::Read, "team-a"));
        assert!((60..=71).contains(&(until - now())), "{until}");
    }
}

#[test]
fn audiences_may_be_many_and_issuers_anybody_where_none_is_expected() {
    verify(&signed(&with(json!({ "aud": ["x", "elasticore"] })))).unwrap();
    let anybody = Expected {
        issuer: None,
        ..expected()
    };
    let token = signed(&with(json!({ "iss": null, "elasticore": null })));
    let caller = ISSUER.signers.verify(&token, &anybody).unwrap().caller;
    assert_eq!(caller.grants, [], "known, and allowed nothing");
}

#[test]
fn wrong_claims_are_refused() {
    for (changes, said) in [
        (json!({ "exp": now() - 60 }), "expired"),
        (json!({ "exp": null }), "damaged"),
        (json!({ "exp": "soon" }), "damaged"),
        (json!({ "nbf": now() + 60 }), "not valid yet"),
        (json!({ "nbf": "later" }), "nbf"),
        (json!({ "aud": "other" }), "another audience"),
        (json!({ "aud": ["other", "elasticor"] }), "another audience"),
        (json!({ "aud": null }), "no claim aud"),
        (json!({ "iss": "https://other" }), "another issuer"),
        (json!({ "iss": null }), "no claim iss"),
        (json!({ "elasticore": ["root:*:*"] }), "in its claim elasticore"),
        (json!({ "elasticore": "admin" }), "damaged"),
    ] {
        refuses(&signed(&with(changes)), said);
    }
}

#[test]
fn clocks_may_differ_a_little() {
    verify(&signed(&with(json!({ "exp": now() - 2, "nbf": now() + 2 })))).unwrap();
}

#[test]
fn tokens_without_a_signature_are_refused() {
    for algorithm in ["none", "None", "NONE", ""] {
        let token = forged(&json!({ "alg": algorithm, "kid": "ed-1", "typ": "JWT" }), &claims());
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        refuses(&token, "names no algorithm");
        refuses(&format!("{unsigned}."), "names no algorithm");
    }
}

/// The public key is known to everybody; who takes it for a shared secret accepts what anybody signs.
#[test]
fn public_keys_are_no_shared_secrets() {
    let modulus = ISSUER.rsa_public["n"].as_str().unwrap();
    let set = json!({ "keys": [ISSUER.rsa_public] }).to_string();
    let secrets: [&[u8]; 4] = [
        modulus.as_bytes(),
        &URL_SAFE_NO_PAD.decode(modulus).unwrap(),
        set.as_bytes(),
        b"",
    ];
    for secret in secrets {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            for kid in ["rsa-1", "ed-1"] {
                let token = encode(&header(algorithm, kid), &claims(), &EncodingKey::from_secret(secret)).unwrap();
                refuses(&token, "not that of the key");
            }
        }
    }
}

#[test]
fn keys_sign_by_their_own_algorithm_only() {
    let crossed = encode(&header(Algorithm::RS256, "ed-1"), &claims(), &ISSUER.rsa).unwrap();
    refuses(&crossed, "not that of the key");
    let longer = encode(&header(Algorithm::RS512, "rsa-1"), &claims(), &ISSUER.rsa).unwrap();
    refuses(&longer, "not that of the key");
    let by_another = encode(&header(Algorithm::EdDSA, "ed-1"), &claims(), &ed(8)).unwrap();
    refuses(&by_another, "signature");
}

#[test]
fn keys_are_those_of_the_set_and_not_those_that_a_token_brings() {
    let unknown = encode(&header(Algorithm::EdDSA, "ed-2"), &claims(), &ed(8)).unwrap();
    assert_eq!(verify(&unknown), Err(Refused::UnknownKey("ed-2".to_owned())));
    let jwk = public(&ed(8), Algorithm::EdDSA, "ed-1");
    let mut bringing = header(Algorithm::EdDSA, "ed-1");
    bringing.jwk = Some(serde_json::from_value(jwk).unwrap());
    bringing.jku = Some("https://evil/keys".to_owned());
    refuses(&encode(&bringing, &claims(), &ed(8)).unwrap(), "signature");
    refuses(
        &encode(&Header::new(Algorithm::EdDSA), &claims(), &ISSUER.ed).unwrap(),
        "no kid",
    );
}

#[test]
fn critical_extensions_and_other_shapes_are_refused() {
    let critical = json!({ "alg": "EdDSA", "kid": "ed-1", "crit": ["b64"], "b64": false });
    refuses(&forged(&critical, &claims()), "critical");
    refuses(&signed(&with(json!({ "padding": "x".repeat(9000) }))), "longer than 8 KiB");
    for wrong in ["", "a", "a.b", "eyJ.eyJ.x", "a.b.c.d", "...."] {
        assert!(verify(wrong).is_err(), "{wrong}");
    }
    assert!(!looks_like_token("eck_a.b.c") && !looks_like_token("eyJa.b"));
}

proptest! {
    #[test]
    fn a_token_of_which_anything_was_changed_is_refused(at in any::<prop::sample::Index>(), letter in "[A-Za-z0-9_.-]") {
        let token = signed(&claims());
        let at = at.index(token.len());
        let changed = format!("{}{letter}{}", &token[..at], &token[at + 1..]);
        // The last letter of a part has bits that mean nothing; a strict decoder refuses them, and equal bytes are the same token.
        let bytes = |token: &str| token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).ok()).collect::<Vec<_>>();
        prop_assume!(bytes(&changed) != bytes(&token));
        prop_assert!(verify(&changed).is_err());
    }

    #[test]
    fn no_text_at_all_is_a_token(text in "\\PC{0,200}") {
        prop_assert!(verify(&text).is_err());
    }
}
