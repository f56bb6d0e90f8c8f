//! Renewed files are taken, broken ones are not.

use std::sync::Arc;
use std::time::Duration;

use tls::{Acceptor, Clients, Figures, Tls};
use tokio_util::sync::CancellationToken;

use crate::handshakes::{is_let_in, serve};
use tls::testing::{Town, load, write};

/// Waits until the identity is another one than `serial`.
async fn until_renewed(tls: &Tls, serial: &str) {
    let renewed = async {
        while tls.identity().facts().serial == serial {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), renewed)
        .await
        .expect("the files are followed");
}

#[tokio::test]
async fn renewed_files_are_taken_without_a_restart_and_broken_ones_are_not() {
    let town = Town::new();
    let registry = telemetry::new_registry();
    let files = town.write(&Town::node("node"));
    let tls = Tls::load(files.clone(), "node", &Figures::new(&registry)).unwrap();
    let stop = CancellationToken::new();
    let following = tokio::spawn(tls.clone().follow(stop.clone()));

    let before = tls.identity().facts().serial.clone();
    drop(town.write(&Town::node("node")));
    until_renewed(&tls, &before).await;
    let after = tls.identity().facts().serial.clone();

    write(&files.key, "broken");
    tls.reload();
    assert_eq!(tls.identity().facts().serial, after);
    let text = telemetry::render(&registry);
    assert!(
        text.contains("tls_reloads_total{result=\"failed\",role=\"node\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("tls_certificate_expiry_timestamp_seconds{role=\"node\"}"),
        "{text}"
    );
    assert!(
        text.contains("tls_certificate_expiry_timestamp_seconds{role=\"node-authority\"}"),
        "{text}"
    );

    drop(town.write(&Town::node("node")));
    until_renewed(&tls, &after).await;
    stop.cancel();
    following.await.unwrap();
}

#[tokio::test]
async fn authorities_change_without_a_moment_in_which_nodes_refuse_each_other() {
    let (old, new) = (Town::new(), Town::new());
    let both = format!("{}{}", new.own.certificate, old.own.certificate);
    let server_files = old.write(&Town::node("server"));
    let client_files = old.write(&Town::node("client"));
    let (server, client) = (load(server_files.clone()), load(client_files.clone()));
    let address = serve(Acceptor::new(server.clone(), Clients::Certified)).await;
    let meets = async || is_let_in(&address, Arc::clone(client.identity().client())).await;
    assert!(meets().await);

    // Both authorities are trusted, one node after the other; then certificates change; then the old one is trusted no more.
    write(&server_files.authorities, &both);
    server.reload();
    assert!(meets().await);
    write(&client_files.authorities, &both);
    client.reload();
    assert!(meets().await);
    for (files, tls) in [(&client_files, &client), (&server_files, &server)] {
        let renewed = new.authority.issue(&Town::node("renewed")).unwrap();
        write(&files.certificate, &renewed.certificate);
        write(&files.key, &renewed.key);
        tls.reload();
        assert!(meets().await);
    }
    write(&server_files.authorities, &new.own.certificate);
    server.reload();
    assert!(meets().await);
    assert_eq!(server.identity().authorities().len(), 1);

    let left_behind = load(old.write(&Town::node("left-behind")));
    assert!(!is_let_in(&address, Arc::clone(left_behind.identity().client())).await);
}
