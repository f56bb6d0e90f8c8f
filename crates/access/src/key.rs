//! API keys: `eck_ID_SECRET`. The id is public and says which record; of the secret, 256 random bits, only a hash is kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Caller, Grant, KeyHash, Kind};

/// What every key begins with, so that scanners of source code find those that went astray.
pub const KEY_PREFIX: &str = "eck_";

/// Letters of an id.
const ID_CHARS: usize = 16;
/// Letters of a secret: 32 bytes in base64.
const SECRET_CHARS: usize = 43;

/// A secret of 256 random bits, as text.
#[must_use]
pub fn generate() -> String {
    let mut hasher = Sha256::new();
    // 122 bits each, from the system's source.
    for _ in 0..3 {
        hasher.update(Uuid::new_v4().as_bytes());
    }
    URL_SAFE_NO_PAD.encode(hasher.finalize())
}

/// A key as a client sent it; whether it is one that was given out, only its record can say.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// Which record.
    pub id: &'a str,
    secret: &'a str,
}

impl<'a> Presented<'a> {
    /// Takes a text apart that has the form of a key.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(KEY_PREFIX)?.split_at_checked(ID_CHARS)?;
        let secret = secret.strip_prefix('_')?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let fits =
            secret.len() == SECRET_CHARS && secret.bytes().all(plain) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then_some(Self { id, secret })
    }

    /// What is kept of its secret.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(self.secret.as_bytes())
    }
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Public name, in every key's text.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it may do.
    pub grants: Vec<Grant>,
    /// Of its secret.
    pub hash: KeyHash,
    /// Of the secret before, after a rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
    /// Who made it.
    #[serde(default)]
    pub created_by: String,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// When its secret was changed last, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at_ms: Option<u64>,
    /// From when on it is of no use, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    /// When it was revoked, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<u64>,
}

/// A secret that still works for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Of it.
    pub hash: KeyHash,
    /// Until when, Unix milliseconds.
    pub until_ms: u64,
}

/// How a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It works.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody took it back.
    Revoked,
}

impl KeyRecord {
    /// A new key: what is kept, and the text that is shown once.
    #[must_use]
    pub fn create(
        name: String,
        grants: Vec<Grant>,
        created_by: String,
        now_ms: u64,
        expires_at_ms: Option<u64>,
    ) -> (Self, String) {
        // Bytes 6 and 8 of such a number are not random.
        let random = Uuid::new_v4().simple().to_string();
        let id = format!("{}{}", &random[..12], &random[28..]);
        let secret = generate();
        let record = Self {
            hash: KeyHash::of(secret.as_bytes()),
            name,
            grants,
            previous: None,
            created_by,
            created_at_ms: now_ms,
            rotated_at_ms: None,
            expires_at_ms,
            revoked_at_ms: None,
            id,
        };
        let text = record.text(&secret);
        (record, text)
    }

    /// Gives it another secret, and the one it had works until `until_ms`: the text that is shown once.
    #[must_use]
    pub fn rotate(&mut self, now_ms: u64, until_ms: u64) -> String {
        let secret = generate();
        let replaced = std::mem::replace(&mut self.hash, KeyHash::of(secret.as_bytes()));
        self.previous = (until_ms > now_ms).then_some(Previous {
            hash: replaced,
            until_ms,
        });
        self.rotated_at_ms = Some(now_ms);
        self.text(&secret)
    }

    fn text(&self, secret: &str) -> String {
        format!("{KEY_PREFIX}{}_{secret}", self.id)
    }

    /// How it is at a time.
    #[must_use]
    pub fn state(&self, now_ms: u64) -> KeyState {
        match (self.revoked_at_ms, self.expires_at_ms) {
            (Some(_), _) => KeyState::Revoked,
            (None, Some(at)) if at <= now_ms => KeyState::Expired,
            _ => KeyState::Active,
        }
    }

    /// When it ended, if it has.
    #[must_use]
    pub fn ended_at_ms(&self, now_ms: u64) -> Option<u64> {
        self.revoked_at_ms.or(self.expires_at_ms.filter(|at| *at <= now_ms))
    }

    /// Whether this is its secret, or the one before while that still works. Whether the key itself works is its state.
    #[must_use]
    pub fn accepts(&self, sent: &KeyHash, now_ms: u64) -> bool {
        let previous = self.previous.as_ref().filter(|previous| now_ms < previous.until_ms);
        self.hash == *sent || previous.is_some_and(|previous| previous.hash == *sent)
    }

    /// Who has it.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller {
            id: self.id.as_str().into(),
            name: self.name.as_str().into(),
            kind: Kind::Key,
            grants: self.grants.clone(),
            expires_at_ms: self.expires_at_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn create(expires_at_ms: Option<u64>) -> (KeyRecord, String) {
        KeyRecord::create("ci".to_owned(), vec![Grant::admin()], "root".to_owned(), 1_000, expires_at_ms)
    }

    fn hash(text: &str) -> KeyHash {
        Presented::parse(text).unwrap().hash()
    }

    #[test]
    fn keys_are_never_the_same_and_are_accepted_by_their_own_record() {
        let keys: Vec<_> = (0..200).map(|_| create(None)).collect();
        let ids: HashSet<&str> = keys.iter().map(|(record, _)| record.id.as_str()).collect();
        assert_eq!(ids.len(), keys.len());
        let (other, _) = create(None);
        for (record, text) in &keys {
            let presented = Presented::parse(text).unwrap();
            assert_eq!(presented.id, record.id);
            assert!(record.accepts(&presented.hash(), 1_000) && !other.accepts(&presented.hash(), 1_000));
        }
    }

    #[test]
    fn nothing_of_a_secret_is_in_its_record() {
        let (record, text) = create(None);
        let secret = &text[text.len() - SECRET_CHARS..];
        let kept = format!("{record:?}{}", serde_json::to_string(&record).unwrap());
        for piece in 0..SECRET_CHARS - 8 {
            assert!(!kept.contains(&secret[piece..piece + 8]), "{kept}");
        }
        assert_eq!(
            serde_json::from_str::<KeyRecord>(&serde_json::to_string(&record).unwrap()).unwrap(),
            record
        );
    }

    #[test]
    fn what_has_not_the_form_of_a_key_is_none() {
        let (_, text) = create(None);
        let longer = format!("{text}a");
        for wrong in [
            "",
            "eck_",
            &text[1..],
            &text[..text.len() - 1],
            &longer,
            &text.replace("eck_", "ecq_"),
            &text.replacen('_', "-", 2),
            &format!("{}é", &text[..text.len() - 2]),
            "eck_éééééééé_x",
        ] {
            assert!(Presented::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn rotation_leaves_the_old_secret_its_grace_and_no_more() {
        let (mut record, first) = create(None);
        let second = record.rotate(2_000, 3_000);
        assert!(record.accepts(&hash(&first), 2_999) && record.accepts(&hash(&second), 2_999));
        assert!(!record.accepts(&hash(&first), 3_000) && record.accepts(&hash(&second), 3_000));
        let third = record.rotate(4_000, 4_000);
        assert!(!record.accepts(&hash(&second), 4_000) && record.accepts(&hash(&third), 4_000));
    }

    #[test]
    fn keys_end_by_time_or_by_somebody() {
        let (mut record, _) = create(Some(5_000));
        assert_eq!(record.state(4_999), KeyState::Active);
        assert_eq!(
            (record.state(5_000), record.ended_at_ms(5_000)),
            (KeyState::Expired, Some(5_000))
        );
        record.revoked_at_ms = Some(2_000);
        assert_eq!(
            (record.state(3_000), record.ended_at_ms(3_000)),
            (KeyState::Revoked, Some(2_000))
        );
    }
}
