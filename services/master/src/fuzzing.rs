//! The readers of what clients say, for fuzzers: each takes any text, and asserts what must stay true of it.

use std::net::IpAddr;

use api::dataset::blob_prefix;

use crate::app::datasets::{MANIFESTS, Name, check_path};
use crate::app::limits::{Network, TrustedProxies, counted};
pub use crate::http::fuzzed::{head, lifetimes, query};

/// A network on the first line, and `X-Forwarded-For` on each further one.
pub fn addresses(text: &str) {
    let (network, forwarded) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(address) = network.parse::<IpAddr>() {
        let alone: Network = network.parse().expect("an address is a network of one");
        assert!(alone.contains(address), "{network}");
        assert_eq!(counted(counted(address)), counted(address));
    }
    let Ok(network) = network.parse::<Network>() else { return };
    let proxies = TrustedProxies(vec![network]);
    for peer in ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1"] {
        let peer: IpAddr = peer.parse().expect("it is an address");
        let client = proxies.client(peer, forwarded.lines());
        if network.contains(peer) {
            // What is added on the left, where clients write what they like, changes nothing that a proxy has said.
            let claimed = format!("192.0.2.1, {forwarded}");
            let again = proxies.client(peer, claimed.lines());
            assert!(again == client || network.contains(client), "{client} became {again}");
        } else {
            assert_eq!(client, peer.to_canonical(), "nobody is believed but proxies");
        }
    }
}

/// A namespace, a dataset and a path, each on a line: nothing of one is ever among what another has.
pub fn datasets(text: &str) {
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (namespace, name, path) = (line(), line(), line());
    let Ok(namespace) = crate::http::fuzzed::namespace(namespace) else {
        return;
    };
    let Ok(name) = Name::try_new(namespace.clone(), name) else {
        return;
    };
    let key = name.key();
    let shown = if namespace.is_empty() { "_" } else { &*namespace };
    let parts: Vec<&str> = key.split('/').collect();
    assert_eq!(parts, [MANIFESTS.trim_end_matches('/'), shown, name.name()], "{key:?}");
    if check_path(path).is_err() {
        return;
    }
    assert!(!path.starts_with('/') && path.split('/').all(|part| part != ".."), "{path:?}");
    let blob = name.blob("0190a1b2-0000-7000-8000-000000000000", path);
    assert!(blobs::check_name(&blob).is_ok(), "{blob:?}");
    assert!(blob.starts_with(&blob_prefix(&namespace, name.name())), "{blob:?}");
}
