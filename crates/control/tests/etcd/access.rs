//! etcd that wants to know who asks: certificates on both sides, users with passwords, both.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use control::conformance::EtcdServer;
use control::etcd::{EtcdOptions, EtcdStore};
use control::{Consistency, ControlStore, Error, EtcdAccess, EtcdAdmin};
use etcd_client::{Client, ConnectOptions};
use futures::StreamExt;
use tls::Tls;
use tls::testing::Town;

/// Longest time for anything here: a call that waits for ever is what these tests look for.
const LONG: Duration = Duration::from_secs(60);

async fn bounded<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(LONG, work).await;
    done.unwrap_or_else(|_| panic!("{what} took longer than {LONG:?}"))
}

/// A server that lets in only who shows a certificate of this authority.
async fn server(town: &Town) -> EtcdServer {
    let files = town.write(&Town::node("server"));
    let flags = [
        format!("--cert-file={}", files.certificate.display()),
        format!("--key-file={}", files.key.display()),
        format!("--trusted-ca-file={}", files.authorities.display()),
        "--client-cert-auth".to_owned(),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    EtcdServer::start_encrypted(&flags).await
}

async fn store(endpoint: &str, access: EtcdAccess) -> Arc<dyn ControlStore> {
    let options = EtcdOptions {
        access,
        ..EtcdOptions::new(vec![endpoint.to_owned()])
    };
    Arc::new(EtcdStore::connect(options).await.unwrap())
}

async fn put(store: &Arc<dyn ControlStore>, key: &str) -> Result<(), Error> {
    store.put(key, "value".into(), None).await.map(drop)
}

#[tokio::test]
async fn encrypted_etcd_is_used_with_a_certificate_and_by_nobody_else() {
    let (ours, others) = (Town::new(), Town::new());
    let server = server(&ours).await;
    let endpoint = format!("https://{}", server.endpoint());
    let shown = ours.identity("master");
    let with = |tls: &Tls| EtcdAccess {
        tls: Some(tls.clone()),
        user: None,
    };
    let known = store(&endpoint, with(&shown)).await;
    bounded("a write", put(&known, "k")).await.unwrap();
    let mut watch = bounded("a watch", known.watch("k".to_owned(), 1)).await.unwrap();
    let seen = bounded("an event", watch.next()).await.unwrap().unwrap();
    assert_eq!(seen.len(), 1);
    let admin = EtcdAdmin::connect(std::slice::from_ref(&endpoint), &with(&shown))
        .await
        .unwrap();
    assert_eq!(bounded("a look", admin.view()).await.unwrap().heard_from, 1);

    // A renewed certificate is shown from the next connection on, and calls go on.
    let renewed = ours.write(&Town::node("master"));
    assert_eq!(&renewed, shown.files());
    shown.reload();
    bounded("a write with the renewed certificate", put(&known, "k"))
        .await
        .unwrap();
    let seen = bounded("an event of the watch that was there", watch.next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(seen.len(), 1);

    let foreign = others.identity("foreign");
    let stranger = store(&endpoint, with(&foreign)).await;
    let refused = bounded("a stranger's call", stranger.get("k", Consistency::Linearizable))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_) | Error::Timeout(_)), "{refused:?}");
    let without = EtcdStore::connect(EtcdOptions::new(vec![endpoint.clone()]))
        .await
        .unwrap_err();
    assert!(without.to_string().contains("ETCD_CERT, ETCD_KEY and ETCD_CA"), "{without}");
}

/// A server with a user `root`, whose authentication is enabled.
async fn guarded(server: &EtcdServer) -> Client {
    let mut client = Client::connect([server.endpoint()], None).await.unwrap();
    client.user_add("root", "right", None).await.unwrap();
    client.role_add("root").await.unwrap();
    client.user_grant_role("root", "root").await.unwrap();
    client.auth_enable().await.unwrap();
    let options = ConnectOptions::new().with_user("root", "right");
    Client::connect([server.endpoint()], Some(options)).await.unwrap()
}

fn user(name: &str, password: &str) -> EtcdAccess {
    EtcdAccess {
        tls: None,
        user: Some((name.to_owned(), password.to_owned())),
    }
}

#[tokio::test]
async fn users_are_known_by_their_passwords_and_new_tokens_are_asked_for_when_old_ones_are_not_taken() {
    let mut server = EtcdServer::start(&[]).await;
    let endpoint = server.endpoint();
    let mut operator = bounded("enabling authentication", guarded(&server)).await;
    let known = store(&endpoint, user("root", "right")).await;
    bounded("a write", put(&known, "k")).await.unwrap();
    let admin = EtcdAdmin::connect(std::slice::from_ref(&endpoint), &user("root", "right"))
        .await
        .unwrap();
    assert_eq!(bounded("a look", admin.view()).await.unwrap().heard_from, 1);

    let nobody = store(&endpoint, EtcdAccess::default()).await;
    let refused = bounded("a call of nobody", put(&nobody, "k")).await.unwrap_err();
    assert!(refused.to_string().contains("set ETCD_USER and ETCD_PASSWORD"), "{refused}");
    let wrong = store(&endpoint, user("root", "wrong")).await;
    let refused = bounded("a call with a wrong password", put(&wrong, "k")).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Invalid(reason) if reason.contains("password")),
        "{refused:?}"
    );

    // Users have changed: tokens of before are too old for writes.
    bounded("a change of users", operator.user_add("another", "one", None))
        .await
        .unwrap();
    bounded("a write after users have changed", put(&known, "k")).await.unwrap();
    let mut watch = bounded("a watch", known.watch("k".to_owned(), 0)).await.unwrap();

    // A server that was restarted has forgotten all tokens.
    bounded("a restart", server.restart()).await;
    let written = async {
        while put(&known, "k").await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    bounded("a write after a restart", written).await;
    let seen = bounded("an event after a restart", watch.next()).await.unwrap().unwrap();
    assert!(!seen.is_empty());
}

#[tokio::test]
async fn dead_member_holds_nobody_up_who_has_a_user() {
    let server = EtcdServer::start(&[]).await;
    drop(bounded("enabling authentication", guarded(&server)).await);
    // The library asks a member for a token when it connects, and waits for ever for one that is not there.
    let nowhere = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let dead = nowhere.local_addr().unwrap().to_string();
    let options = EtcdOptions {
        access: user("root", "right"),
        ..EtcdOptions::new(vec![dead, server.endpoint()])
    };
    let store: Arc<dyn ControlStore> = Arc::new(bounded("connecting", EtcdStore::connect(options)).await.unwrap());
    bounded("a read past a dead member", store.get("k", Consistency::Linearizable))
        .await
        .unwrap();
    bounded("a write", put(&store, "k")).await.unwrap();
}
