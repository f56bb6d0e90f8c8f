//! What is wrong with files is told before anything runs.

use std::path::Path;
use std::time::SystemTime;

use tls::{Error, Facts, Files, Identity, Purpose, Request};

use tls::testing::{DAY, Town, write};

fn error(files: &Files) -> String {
    let error = Identity::load(files).unwrap_err();
    std::iter::successors(std::error::Error::source(&error), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[test]
fn identity_says_who_it_is_and_whom_it_trusts() {
    let town = Town::new();
    let identity = Identity::load(&town.write(&Town::node("node-1"))).unwrap();
    assert_eq!(identity.facts().subject, "node-1");
    assert_eq!(identity.facts().issuer, "a test's authority");
    assert_eq!(identity.facts().names, ["127.0.0.1", "localhost"]);
    assert!(!identity.facts().is_authority);
    assert!(identity.authorities()[0].is_authority);
    identity.check_host("127.0.0.1").unwrap();
    identity.check_host("localhost").unwrap();
    let refused = identity.check_host("node-1").unwrap_err().to_string();
    assert!(
        refused.contains("not valid for node-1") && refused.contains("127.0.0.1, localhost"),
        "{refused}"
    );
}

#[test]
fn each_thing_that_is_wrong_is_named() {
    let (town, stranger) = (Town::new(), Town::new());
    let now = SystemTime::now();
    let expired = Request {
        from: now - 2 * DAY,
        until: now - DAY,
        ..Town::node("expired")
    };
    assert!(
        error(&town.write(&expired)).contains("expired at"),
        "{}",
        error(&town.write(&expired))
    );
    let early = Request {
        from: now + DAY,
        until: now + 2 * DAY,
        ..Town::node("early")
    };
    assert!(error(&town.write(&early)).contains("not valid before"));
    let nameless = Request {
        hosts: Vec::new(),
        ..Town::node("nameless")
    };
    assert!(error(&town.write(&nameless)).contains("no subject alternative name"));
    let client = Request {
        purpose: Purpose::Client,
        ..Town::node("client")
    };
    assert!(
        error(&town.write(&client)).contains("serverAuth and clientAuth"),
        "{}",
        error(&town.write(&client))
    );

    let issued = town.authority.issue(&Town::node("foreign")).unwrap();
    let foreign = town.files("foreign", &issued, &stranger.own.certificate);
    assert!(error(&foreign).contains("no authority in"), "{}", error(&foreign));

    let files = town.write(&Town::node("a"));
    let other = town.write(&Town::node("b"));
    let mixed = Files {
        key: other.key.clone(),
        ..files.clone()
    };
    assert!(
        error(&mixed).contains("does not belong to the certificate"),
        "{}",
        error(&mixed)
    );

    std::fs::remove_file(&other.key).unwrap();
    let missing = error(&other);
    assert!(
        missing.contains("b.key cannot be read (put it there: `elasticore certs init`") && missing.contains("No such file"),
        "{missing}"
    );
    let nobodys = Files {
        authorities: files.key.parent().expect("its directory").to_owned(),
        ..files.clone()
    };
    assert!(error(&nobodys).contains("not of its directory"), "{}", error(&nobodys));
    write(&other.authorities, "");
    let empty = Files {
        authorities: other.authorities.clone(),
        ..files.clone()
    };
    assert!(
        error(&empty).ends_with("b.ca holds no certificate of an authority in PEM form: there is none. `elasticore certs init` makes ca.pem, the same for all nodes"),
        "{}",
        error(&empty)
    );
    write(&files.key, "no key at all");
    assert!(error(&files).contains("holds no private key"), "{}", error(&files));
    write(
        &files.certificate,
        "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
    );
    assert!(error(&files).contains("holds no certificate"), "{}", error(&files));
}

#[test]
fn what_is_wrong_with_files_of_the_command_line_is_named() {
    let town = Town::new();
    let files = town.write(&Town::node("me"));
    let refused = |certificate: &Path, key: &Path| {
        let error = tls::client_of(&files.authorities, Some((certificate, key))).unwrap_err();
        std::iter::successors(std::error::Error::source(&error), |cause| cause.source())
            .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
    };
    let absent = files.key.with_file_name("absent.key");
    let told = refused(&files.certificate, &absent);
    assert!(
        told.contains("private key") && told.contains("absent.key cannot be read (put it there"),
        "{told}"
    );
    let now = SystemTime::now();
    let old = town.write(&Request {
        from: now - 2 * DAY,
        until: now - DAY,
        ..Town::node("old")
    });
    let told = refused(&old.certificate, &old.key);
    assert!(
        told.contains("expired at") && told.contains("elasticore certs renew"),
        "{told}"
    );
    let told = refused(&files.certificate, &old.key);
    assert!(told.contains("does not belong to the certificate"), "{told}");
}

#[test]
fn settings_are_all_there_or_none_is() {
    assert_eq!(Files::of_settings("TLS", "", "", "").unwrap(), None);
    assert!(Files::of_settings("TLS", "c", "k", "a").unwrap().is_some());
    let half = Files::of_settings("TLS", "c", "", "a").unwrap_err();
    assert_eq!(
        half.to_string(),
        "TLS_CERT, TLS_KEY and TLS_CA belong together: TLS_KEY is not set"
    );
}

#[test]
fn certificate_ends_with_its_authority_at_the_latest() {
    let town = Town::new();
    let long = Request {
        until: SystemTime::now() + 3650 * DAY,
        ..Town::node("long")
    };
    let files = town.write(&long);
    let (own, authority) = (
        &Facts::read(&files.certificate).unwrap()[0],
        &Facts::read(&files.authorities).unwrap()[0],
    );
    assert_eq!(own.not_after, authority.not_after);
}

#[test]
fn names_that_are_none_get_no_certificate() {
    let town = Town::new();
    for host in ["", "a b", "http://a", "a:1", "-", "a/b"] {
        let request = Request {
            hosts: vec![host.to_owned()],
            ..Town::node("x")
        };
        let refused = town.authority.issue(&request);
        assert!(matches!(refused, Err(Error::NotAName(_))), "{host:?}: {refused:?}");
    }
}

#[test]
fn keys_are_not_shown() {
    let town = Town::new();
    let issued = town.authority.issue(&Town::node("x")).unwrap();
    let shown = format!("{issued:?} {:?}", town.authority);
    assert!(!shown.contains("PRIVATE") && !shown.contains("BEGIN"), "{shown}");
}
