//! Who somebody is, by what they show.

use std::sync::Arc;

use access::{Caller, KeyHash, Kind, Presented, looks_like_token};
use lifecycle::CancellationToken;

use super::{Keyring, Tokens, now_ms};

/// Why it is not known who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// They showed nothing.
    Nothing,
    /// What they showed is not right.
    Wrong(Box<str>),
    /// It cannot be told now; later, or by another master.
    NotNow(Box<str>),
}

/// All ways to be known; asks nobody.
#[derive(Debug)]
pub struct Identities {
    is_on: bool,
    root: Option<KeyHash>,
    keyring: Arc<Keyring>,
    tokens: Option<Arc<Tokens>>,
    anonymous: Arc<Caller>,
    root_caller: Arc<Caller>,
}

impl Identities {
    /// Everybody may do everything: authentication is off.
    #[must_use]
    pub fn off(keyring: Arc<Keyring>) -> Self {
        Self {
            is_on: false,
            root: None,
            keyring,
            tokens: None,
            anonymous: Arc::new(Caller::anonymous()),
            root_caller: Arc::new(Caller::root()),
        }
    }

    /// Callers show a key of the ring, a token, or the root key; an empty one is nobody's.
    #[must_use]
    pub fn on(root_key: &str, keyring: Arc<Keyring>, tokens: Option<Arc<Tokens>>) -> Self {
        Self {
            is_on: true,
            root: (!root_key.is_empty()).then(|| KeyHash::of(root_key.as_bytes())),
            tokens,
            ..Self::off(keyring)
        }
    }

    /// Whether callers have to be known.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.is_on
    }

    /// The keys.
    #[must_use]
    pub const fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// The tokens, where there are any.
    #[must_use]
    pub const fn tokens(&self) -> Option<&Arc<Tokens>> {
        self.tokens.as_ref()
    }

    /// Everybody.
    #[must_use]
    pub fn anonymous(&self) -> Arc<Caller> {
        Arc::clone(&self.anonymous)
    }

    /// Who shows this.
    ///
    /// # Errors
    /// When that is nobody, or cannot be told.
    pub fn identify(&self, shown: Option<&str>) -> Result<Arc<Caller>, Unknown> {
        if !self.is_on {
            return Ok(self.anonymous());
        }
        let shown = shown.ok_or(Unknown::Nothing)?;
        if let Some(key) = Presented::parse(shown) {
            return self.keyring.identify(key);
        }
        if looks_like_token(shown) {
            let none = || Unknown::Wrong("tokens are not accepted here: this master has no AUTH_JWKS".into());
            return self.tokens.as_ref().ok_or_else(none)?.identify(shown);
        }
        match &self.root {
            Some(root) if *root == KeyHash::of(shown.as_bytes()) => Ok(Arc::clone(&self.root_caller)),
            _ => Err(Unknown::Wrong(
                "this is neither an API key nor a token of this cluster".into(),
            )),
        }
    }

    /// Resolves when a caller is not to be answered any more: endless answers end then.
    pub async fn over(&self, caller: Arc<Caller>) {
        let revoked = match caller.kind {
            Kind::Key => self.keyring.ended(&caller.id),
            _ => CancellationToken::new(),
        };
        let expired = async {
            match caller.expires_at_ms {
                // No timer is longer than this; who listens for a year may ask again.
                Some(at) => {
                    let left = at.saturating_sub(now_ms()).min(365 * 24 * 60 * 60 * 1000);
                    tokio::time::sleep(std::time::Duration::from_millis(left)).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = revoked.cancelled_owned() => {}
            () = expired => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn keyring() -> Arc<Keyring> {
        Arc::new(Keyring::new(Duration::from_secs(60)))
    }

    #[test]
    fn nobody_is_anybody_unless_authentication_is_off() {
        let root = "a root key of thirty-two letters";
        let on = Identities::on(root, keyring(), None);
        assert_eq!(on.identify(None), Err(Unknown::Nothing));
        assert_eq!(on.identify(Some(root)).unwrap().kind, Kind::Root);
        for wrong in ["", "a root key of thirty-two letterS", "eyJhIjoxfQ.e30.c2ln"] {
            assert!(matches!(on.identify(Some(wrong)), Err(Unknown::Wrong(_))), "{wrong}");
        }
        let rootless = Identities::on("", keyring(), None);
        assert!(
            matches!(rootless.identify(Some("")), Err(Unknown::Wrong(_))),
            "an empty root key is nobody's"
        );
        let off = Identities::off(keyring());
        assert_eq!(off.identify(Some("anything")).unwrap().kind, Kind::Anonymous);
    }
}
