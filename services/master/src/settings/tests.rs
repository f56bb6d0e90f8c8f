//! Settings that are wrong together.

use settings::Settings as _;

use super::*;

fn problems(change: impl Fn(&mut Settings)) -> Vec<String> {
    let mut settings = Settings {
        cluster_token: Secret::new("secret"),
        ..Settings::default()
    };
    change(&mut settings);
    settings.problems()
}

fn list(text: &str) -> List {
    text.parse().unwrap()
}

#[test]
fn three_masters_name_each_other() {
    let right = problems(|settings| settings.raft_initial_cluster = list("master-1=a:9000,master-2=b:9000,master-3=c:9000"));
    assert_eq!(right, Vec::<String>::new());
    assert_eq!(
        problems(|settings| settings.raft_join = list("a:9000,b:9000")),
        Vec::<String>::new()
    );
    let added_later = problems(|settings| {
        settings.raft_initial_cluster = list("master-2=b:9000");
        settings.raft_join = list("b:9000");
    });
    assert_eq!(added_later, Vec::<String>::new());
}

#[test]
fn wrong_lists_are_told_apart() {
    let nine = (1..=9)
        .map(|at| format!("master-{at}=h{at}:9000"))
        .collect::<Vec<_>>()
        .join(",");
    for (initial, join, engine, said) in [
        (
            "master-2=b:9000,master-3=c:9000",
            "",
            ControlEngine::Raft,
            "does not name this node, master-1",
        ),
        ("master-1=a", "", ControlEngine::Raft, "NAME=HOST:PORT"),
        ("master-1=a:1,master-1=b:1", "", ControlEngine::Raft, "master-1 twice"),
        ("master-1=a:1,master-2=a:1", "", ControlEngine::Raft, "a:1 twice"),
        (&nine, "", ControlEngine::Raft, "at most 7"),
        ("", "a", ControlEngine::Raft, "\"a\" in RAFT_JOIN"),
        ("", "http://a:1", ControlEngine::Raft, "in RAFT_JOIN"),
        ("master-1=a:1", "", ControlEngine::Etcd, "for CONTROL_STORE=raft"),
    ] {
        let found = problems(|settings| {
            settings.raft_initial_cluster = list(initial);
            settings.raft_join = list(join);
            settings.control_store = engine;
            settings.etcd_endpoints = list("etcd:2379");
        });
        assert!(
            found.len() == 1 && found[0].contains(said),
            "{initial:?} {join:?}: {found:?} instead of {said:?}"
        );
    }
}

#[test]
fn bounds_of_the_store_are_more_than_nothing() {
    let found = problems(|settings| {
        settings.raft_kv_quota = ByteSize(0);
        settings.raft_history_revisions = 0;
        settings.raft_snapshot_entries = 0;
    });
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn authentication_is_off_unless_it_is_on() {
    let load = |text: &str| {
        let environment = [("AUTH", text), ("CLUSTER_TOKEN", "secret")];
        settings::load::<Settings>(&settings::Sources {
            environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..settings::Sources::default()
        })
    };
    assert_eq!(Settings::default().auth, Auth::Off);
    assert_eq!((load("on").unwrap().auth, load("off").unwrap().auth), (Auth::On, Auth::Off));
    for wrong in ["true", "yes", "1", "On"] {
        assert!(load(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn weak_secrets_and_half_of_what_tokens_need_are_told() {
    let root = "r".repeat(32);
    let right = problems(|settings| {
        settings.elasticore_root_key = Secret::new(&root);
        settings.auth_jwks = "/etc/keys.json".to_owned();
        settings.auth_audience = "elasticore".to_owned();
    });
    assert_eq!(right, Vec::<String>::new());
    for (change, said) in [
        (("root", "short"), "shorter than 32"),
        (
            ("root", "eck_01234567890123456789012345678901234567890"),
            "neither like an API key",
        ),
        (("root", "a root key with spaces in between it"), "without spaces"),
        (("jwks", "/etc/keys.json"), "needs AUTH_AUDIENCE"),
        (("audience", "elasticore"), "set AUTH_JWKS too"),
        (("issuer", "me"), "set AUTH_JWKS too"),
        (("url", "http://10.0.0.1/keys"), "plain http://"),
        (("url", "http://127.0.0.1.example.org/keys"), "plain http://"),
        (("silence", ""), "AUTH_MAX_SILENCE"),
    ] {
        let found = problems(|settings| {
            let value = change.1.to_owned();
            match change.0 {
                "root" => settings.elasticore_root_key = Secret::new(value),
                "jwks" => settings.auth_jwks = value,
                "audience" => settings.auth_audience = value,
                "issuer" => settings.auth_issuer = value,
                "url" => (settings.auth_jwks, settings.auth_audience) = (value, "elasticore".to_owned()),
                _ => settings.auth_max_silence = HumanDuration(Duration::from_secs(1)),
            }
        });
        assert!(found.len() == 1 && found[0].contains(said), "{change:?}: {found:?}");
    }
    let same = problems(|settings| {
        settings.elasticore_root_key = Secret::new(&root);
        settings.cluster_token = Secret::new(&root);
    });
    assert!(same.len() == 1 && same[0].contains("is the CLUSTER_TOKEN"), "{same:?}");
    for near in [
        "http://127.0.0.1:81/keys",
        "http://[::1]:81/keys",
        "https://issuer.example/keys",
    ] {
        let found =
            problems(|settings| (settings.auth_jwks, settings.auth_audience) = (near.to_owned(), "elasticore".to_owned()));
        assert_eq!(found, Vec::<String>::new(), "{near}");
    }
}

#[test]
fn proxies_are_addresses_or_networks() {
    let right = problems(|settings| settings.trusted_proxies = list("10.0.0.7, 172.30.81.0/24, fd00::/8"));
    assert_eq!(right, Vec::<String>::new());
    let found = problems(|settings| settings.trusted_proxies = list("10.0.0.7,nginx,10.0.0.1/8"));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("TRUSTED_PROXIES: \"nginx\""), "{found:?}");
}

#[test]
fn secrets_are_not_shown_with_the_settings() {
    let secret = "this-is-the-secret-of-somebody-here";
    let settings = Settings {
        cluster_token: Secret::new(secret),
        elasticore_root_key: Secret::new(secret),
        s3_secret_access_key: Secret::new(secret),
        ..Settings::default()
    };
    let shown = format!("{settings:?}{}", serde_json::to_string(&settings).unwrap());
    assert!(shown.contains("elasticore_root_key") && !shown.contains(secret), "{shown}");
}
