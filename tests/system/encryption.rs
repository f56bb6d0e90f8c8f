//! Nothing readable on the wire, and nobody in the cluster who does not belong there: whole stacks, every packet of which is looked at.

use std::time::Duration;

use serde_json::json;
use system_tests::network::Network;
use system_tests::{Api, Capture, Captured, Certificates, Sandbox, eventually};

const SOON: Duration = Duration::from_secs(60);

/// Texts that are nowhere but where the test puts them.
struct Secrets {
    cache_key: String,
    cache_value: String,
    kv_key: String,
    kv_value: String,
    query: String,
}

impl Secrets {
    fn new() -> Self {
        let unique = |what: &str| format!("{what}-{:032x}", fastrand::u128(..));
        Self {
            cache_key: unique("cachekey"),
            cache_value: unique("cachevalue"),
            kv_key: unique("kvkey"),
            kv_value: unique("kvvalue"),
            query: unique("query"),
        }
    }

    fn all(&self) -> [&String; 5] {
        [&self.cache_key, &self.cache_value, &self.kv_key, &self.kv_value, &self.query]
    }
}

/// Uses the cache, the key-value store and jobs, while all that travels is written down.
async fn travels(stack: &Sandbox, secrets: &Secrets) -> Captured {
    let capture = Capture::start(stack.network.as_ref().unwrap(), stack.directory()).await;
    let api = stack.api();
    let entry = format!("/cache/{}", secrets.cache_key);
    assert!(matches!(api.put(&entry, secrets.cache_value.clone()).await.status, 200 | 201));
    assert_eq!(api.get(&entry).await.expect(200).text(), secrets.cache_value);
    let pair = format!("/kv/{}", secrets.kv_key);
    assert!(matches!(api.put(&pair, secrets.kv_value.clone()).await.status, 200 | 201));
    assert!(api.get(&pair).await.expect(200).text().contains(&secrets.kv_value));
    let job = api
        .succeed(&json!({ "query": format!("select '{}' as found", secrets.query) }), SOON)
        .await;
    let result = api.result(job["id"].as_str().unwrap(), "json").await;
    assert!(result.text().contains(&secrets.query), "{result}");
    let captured = capture.stop().await;
    assert!(captured.bytes() > 50_000, "only {} bytes were captured", captured.bytes());
    captured
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_value_query_or_token_can_be_read_on_the_wire() {
    if Network::is_left_out() {
        return;
    }
    let secrets = Secrets::new();
    let stack = || Sandbox::raft().masters(3).auxiliaries(2).workers(1).apart().nginx();
    // The same capture of a stack that is not encrypted finds them all: so it would, were they there.
    let mut plain = stack().start().await;
    let captured = travels(&plain, &secrets).await;
    for secret in secrets.all() {
        assert!(captured.count(secret) > 0, "{secret} does not travel at all");
    }
    assert!(captured.count(&plain.token) > 0, "the token does not travel at all");
    assert_eq!(plain.panics(), Vec::<String>::new());
    drop(plain);

    let mut encrypted = stack().encrypted().start().await;
    let captured = travels(&encrypted, &secrets).await;
    for secret in secrets.all().into_iter().chain([&encrypted.token]) {
        assert_eq!(captured.count(secret), 0, "{secret} can be read on the wire");
    }
    for telling in ["HTTP/1.1", "X-Cluster-Token", "x-cluster-token", "/internal/v1", "/cache/"] {
        assert_eq!(captured.count(telling), 0, "{telling} can be read on the wire");
    }
    assert_eq!(encrypted.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused_by_every_service_and_its_log_says_why() {
    let mut stack = Sandbox::raft().auxiliaries(1).workers(1).encrypted().start().await;
    let certificates = stack.certificates.as_ref().unwrap();
    let elsewhere = Certificates::new(&stack.directory().join("elsewhere"));
    let authority = certificates.authority();
    let without = tls::client_of(&authority, None).unwrap();
    let expired = certificates.expired("expired").client(&authority);
    let foreign = elsewhere.certify("foreign", &["127.0.0.1"]).client(&authority);
    let member = certificates.certify("member", &["127.0.0.1"]).client(&authority);
    let unbelieving = elsewhere
        .certify("unbelieving", &["127.0.0.1"])
        .client(&elsewhere.authority());

    let nodes = [&stack.masters[0], &stack.auxiliaries[0], &stack.workers[0]];
    for node in nodes {
        let address = node.private_address();
        let ask = async |api: Api| api.request("GET", "/health").attempt().await;
        assert_eq!(ask(Api::encrypted(&address, member.clone())).await.unwrap().status, 200);
        for (who, api) in [
            ("plain HTTP", Api::at(&address)),
            ("no certificate", Api::encrypted(&address, without.clone())),
            ("an expired certificate", Api::encrypted(&address, expired.clone())),
            (
                "a certificate of another authority",
                Api::encrypted(&address, foreign.clone()),
            ),
            (
                "one who trusts another authority",
                Api::encrypted(&address, unbelieving.clone()),
            ),
        ] {
            let answer = ask(api).await;
            assert!(answer.is_err(), "{} lets in {who}: {answer:?}", node.name());
        }
        for reason in [
            "not_tls",
            "no_certificate",
            "expired",
            "unknown_authority",
            "refused_by_client",
        ] {
            eventually(&format!("{} to say {reason}", node.name()), SOON, || async {
                let log = node.log();
                let told = log
                    .lines()
                    .any(|line| line.contains("a connection was refused") && line.contains(reason));
                if told { Ok(()) } else { Err(log) }
            })
            .await;
        }
        let refused = node.metrics().await.sum("tls_handshakes_refused_total", &[]);
        assert!(refused >= 5.0, "{} counts {refused}", node.name());
    }
    // The public port asks nobody for a certificate, and speaks nothing but TLS.
    let public = stack.masters[0].public_address();
    let answer = Api::encrypted(&public, without).request("GET", "/health").attempt().await;
    assert_eq!(answer.unwrap().status, 200);
    assert!(Api::at(&public).request("GET", "/health").attempt().await.is_err());
    assert_eq!(stack.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_renewed_while_the_stack_works() {
    let mut stack = Sandbox::raft().auxiliaries(2).workers(1).encrypted().start().await;
    let api = stack.api();
    for round in 1..=3 {
        let nodes: Vec<_> = stack
            .nodes()
            .map(|node| (node.name().to_owned(), node.private_address()))
            .collect();
        let certificates = stack.certificates.as_ref().unwrap();
        for (name, address) in &nodes {
            let (host, _) = address.rsplit_once(':').unwrap();
            drop(certificates.certify(name, &[host, "masters"]));
        }
        for node in stack.nodes() {
            eventually(&format!("{} to take its new certificate", node.name()), SOON, || async {
                let taken = node.metrics().await.sum("tls_reloads_total", &["result=\"taken\""]);
                if taken >= f64::from(round) {
                    Ok(())
                } else {
                    Err(taken.to_string())
                }
            })
            .await;
        }
        let key = format!("/cache/round-{round}");
        assert!(matches!(api.put(&key, "value").await.status, 200 | 201));
        assert_eq!(api.get(&key).await.expect(200).text(), "value");
        api.succeed(&json!({ "query": "select 1 as one" }), SOON).await;
    }
    assert_eq!(stack.panics(), Vec::<String>::new());
}
