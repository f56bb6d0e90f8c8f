//! Who may come in, as the settings say, and the tasks that keep it known.

use std::sync::Arc;

use anyhow::Context;
use control::ControlStore;
use lifecycle::Tasks;

use crate::app::auth::{Identities, Keyring, Source, Tokens};
use crate::{Auth, Settings};

/// All ways to be known. Says so when nobody needs any.
pub(super) fn identities(settings: &Settings) -> anyhow::Result<Arc<Identities>> {
    let keyring = Arc::new(Keyring::new(settings.auth_max_silence.0));
    let root = settings.elasticore_root_key.expose();
    if settings.auth == Auth::Off {
        if settings.bind.is_loopback() {
            tracing::info!("AUTH=off: whoever is on this machine may do everything");
        } else {
            tracing::warn!(
                bind = %settings.bind,
                port = settings.port,
                "AUTH=off: whoever reaches this port may read, change and remove everything. Set AUTH=on, or bind to loopback"
            );
        }
        if !root.is_empty() || !settings.auth_jwks.is_empty() {
            tracing::warn!("ELASTICORE_ROOT_KEY and AUTH_JWKS count for nothing while AUTH=off");
        }
        return Ok(Arc::new(Identities::off(keyring)));
    }
    let tokens = match settings.expected_tokens() {
        None => None,
        Some(expected) => {
            let source = Source::new(&settings.auth_jwks).map_err(anyhow::Error::msg);
            let source = source.context("cannot read the keys at AUTH_JWKS")?;
            Some(Arc::new(Tokens::new(source, expected)))
        }
    };
    tracing::info!(
        tokens = tokens.is_some(),
        root_key = !root.is_empty(),
        "AUTH=on: callers have to be known"
    );
    Ok(Arc::new(Identities::on(root, keyring, tokens)))
}

/// Reads the keys of tokens from now on: other masters need not be there for it.
pub(super) fn spawn_tokens(tasks: &Tasks, identities: &Identities) {
    let Some(tokens) = identities.tokens().cloned() else {
        return;
    };
    tasks.supervise("token-keys", move |stop| {
        let tokens = Arc::clone(&tokens);
        async move { tokens.run(stop).await }
    });
}

/// Follows the API keys, and writes down when they were used.
pub(super) fn spawn_keys(tasks: &Tasks, identities: &Identities, store: &Arc<dyn ControlStore>) {
    if !identities.is_on() {
        return;
    }
    let (keyring, kept) = (Arc::clone(identities.keyring()), Arc::clone(store));
    tasks.supervise("api-keys", move |stop| {
        let (keyring, store) = (Arc::clone(&keyring), Arc::clone(&kept));
        async move { keyring.run(&store, stop).await }
    });
    let (keyring, kept) = (Arc::clone(identities.keyring()), Arc::clone(store));
    tasks.supervise("api-key-uses", move |stop| {
        let (keyring, store) = (Arc::clone(&keyring), Arc::clone(&kept));
        async move { keyring.write_uses(&store, stop).await }
    });
}
