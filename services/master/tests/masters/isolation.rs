//! Namespaces do not see each other: over HTTP, on every path that reads, lists, changes or follows.

use std::time::Duration;

use serde_json::{Value, json};
use settings::{ByteSize, Secret};
use transport::peer::{PeerError, PeerResponse};

use crate::player::Player;
use crate::support::{Masters, TOKEN};

/// Two that must not see each other, and the default one; no other text of these tests has their names.
const NAMESPACES: [&str; 3] = ["zebra", "okapi", ""];
/// The name that all of them give to everything.
const NAME: &str = "quagga";

/// A master with an auxiliary.
struct Stack {
    masters: Masters,
    auxiliary: auxiliary::Handle,
}

impl Stack {
    async fn start() -> Self {
        let masters = Masters::start(1).await;
        let settings = auxiliary::Settings {
            node_id: "auxiliary-1".to_owned(),
            bind: [127, 0, 0, 1].into(),
            port: 0,
            cluster_token: Secret::new(TOKEN),
            master_address: Some(masters.public(1)),
            blob_dir: masters.scratch("blobs"),
            blob_min_free: ByteSize(0),
            backup_dir: masters.scratch("backups"),
            ..auxiliary::Settings::default()
        };
        let auxiliary = auxiliary::start(settings).await.unwrap();
        masters
            .until("the cache to take writes", async || {
                masters.put(1, "/cache/warm", "v").await.is_ok()
            })
            .await;
        Self { masters, auxiliary }
    }

    async fn stop(mut self) {
        self.auxiliary.stop().await;
        self.masters.stop(&[1]).await;
    }

    async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> Result<PeerResponse, PeerError> {
        let public = self.masters.public(1);
        let mut request = self.masters.peers.request(method.parse().unwrap(), &public, path);
        if !body.is_empty() {
            let media = if body.starts_with('{') {
                "application/json"
            } else {
                "text/plain"
            };
            request = request.body(media, body.to_owned().into());
        }
        for (name, value) in headers {
            request = request.header(name, http_value(value));
        }
        request.deadline(Duration::from_secs(15)).unguarded().send().await
    }

    /// Status and text of an answer; of a refusal its problem.
    async fn ask_with(&self, method: &str, path: &str, headers: &[(&'static str, &'static str)], body: &str) -> (u16, String) {
        let (status, text) = match self.open(method, path, headers, body).await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                (status, String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned())
            }
            Err(PeerError::Answered { problem, .. }) => (problem.status, problem.detail),
            Err(error) => panic!("{method} {path}: {error}"),
        };
        assert!(!text.contains("kvns"), "{method} {path} shows where keys are: {text}");
        (status, text)
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.ask_with(method, path, &[], body).await
    }

    /// An answer that must be this.
    async fn expect(&self, status: u16, method: &str, path: &str, body: &str) -> String {
        let (got, text) = self.ask(method, path, body).await;
        assert_eq!(got, status, "{method} {path}: {text}");
        text
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.expect(200, "GET", path, "").await).unwrap()
    }

    /// What a stream tells until it says something.
    async fn stream(&self, path: &str) -> Stream {
        let answer = self.open("GET", path, &[], "").await.unwrap();
        let mut stream = Stream {
            body: Box::pin(answer.stream()),
            text: String::new(),
        };
        stream.until("listening").await;
        stream
    }
}

fn http_value(text: &'static str) -> axum::http::HeaderValue {
    axum::http::HeaderValue::from_static(text)
}

/// A stream of events, as text.
struct Stream {
    body: std::pin::Pin<Box<dyn futures::Stream<Item = Result<bytes::Bytes, PeerError>> + Send>>,
    text: String,
}

impl Stream {
    async fn until(&mut self, said: &str) -> &str {
        use futures::StreamExt;
        while !self.text.contains(said) {
            let piece = tokio::time::timeout(Duration::from_secs(20), self.body.next()).await;
            let piece = piece
                .unwrap_or_else(|_| panic!("no {said:?} in {:?}", self.text))
                .unwrap()
                .unwrap();
            self.text.push_str(&String::from_utf8_lossy(&piece));
        }
        &self.text
    }
}

fn of(namespace: &str) -> String {
    format!("of-{namespace}-alone")
}

/// Nothing of the other namespaces is in a text.
#[track_caller]
fn only_of(namespace: &str, text: &str) {
    for other in NAMESPACES.iter().filter(|other| **other != namespace) {
        assert!(!text.contains(&of(other)), "{namespace:?} sees {other:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_cache_and_store_are_apart() {
    let stack = Stack::start().await;
    for ns in NAMESPACES {
        for place in ["kv", "cache"] {
            stack.expect(201, "PUT", &format!("/{place}/{NAME}?ns={ns}"), &of(ns)).await;
        }
    }
    for ns in NAMESPACES {
        for place in ["kv", "cache"] {
            assert_eq!(
                stack.expect(200, "GET", &format!("/{place}/{NAME}?ns={ns}"), "").await,
                of(ns)
            );
        }
        let query = stack.json(&format!("/cache/?key={NAME}&ns={ns}")).await;
        assert_eq!(query["value"], of(ns));
        let listing = stack.json(&format!("/kv?ns={ns}")).await;
        let items = listing["items"].as_array().unwrap();
        assert_eq!(
            (items.len(), &items[0]["key"], &items[0]["value"]),
            (1, &json!(NAME), &json!(of(ns)))
        );
        let batch = json!({ "ops": [{ "op": "get", "key": NAME }] }).to_string();
        let answer = stack.expect(200, "POST", &format!("/cache/_batch?ns={ns}"), &batch).await;
        assert!(answer.contains(&of(ns)), "{answer}");
        only_of(ns, &answer);
        let txn = json!({ "then": [{ "op": "get", "key": NAME }] }).to_string();
        let answer = stack.expect(200, "POST", &format!("/kv/_txn?ns={ns}"), &txn).await;
        assert!(answer.contains(&of(ns)), "{answer}");
        only_of(ns, &answer);
    }
    let reach = json!({ "ops": [{ "op": "get", "key": NAME, "ns": "okapi" }] }).to_string();
    stack.expect(400, "POST", "/cache/_batch?ns=zebra", &reach).await;
    stack.expect(400, "POST", "/cache/_batch", &reach).await;

    // What one removes stays with the others, by whatever name it is called.
    let header = [("x-namespace", "zebra")];
    assert_eq!(stack.ask_with("DELETE", &format!("/kv/{NAME}"), &header, "").await.0, 204);
    assert_eq!(stack.ask_with("DELETE", &format!("/cache/{NAME}"), &header, "").await.0, 204);
    let cleared = stack.expect(200, "POST", "/cache/_delete?ns=zebra&prefix=", "").await;
    assert!(cleared.contains(":0"), "{cleared}");
    for ns in ["okapi", ""] {
        for place in ["kv", "cache"] {
            stack.expect(200, "GET", &format!("/{place}/{NAME}?ns={ns}"), "").await;
            stack.expect(404, "GET", &format!("/{place}/{NAME}?ns=zebra"), "").await;
        }
    }
    let cleared = stack.expect(200, "POST", "/cache/_delete?ns=okapi", "").await;
    assert!(cleared.contains(":1"), "{cleared}");
    stack.expect(200, "GET", &format!("/cache/{NAME}"), "").await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_tell_of_one_namespace() {
    let stack = Stack::start().await;
    for ns in NAMESPACES {
        let mut watch = stack.stream(&format!("/kv/_watch?ns={ns}")).await;
        let mut events = stack.stream(&format!("/events?ns={ns}")).await;
        for from in NAMESPACES.iter().filter(|other| **other != ns).chain([&ns]) {
            stack.ask("PUT", &format!("/kv/{NAME}?ns={from}"), &of(from)).await;
            stack.ask("PUT", &format!("/cache/{}?ns={from}", of(from)), "v").await;
        }
        for told in [watch.until(&of(ns)).await, events.until(&of(ns)).await] {
            only_of(ns, told);
            assert!(!told.contains("kvns"), "{told}");
        }
    }
    let mut all = stack.stream("/events?ns=*").await;
    for ns in NAMESPACES {
        stack.ask("PUT", &format!("/cache/{}?ns={ns}", of(ns)), "v").await;
        all.until(&of(ns)).await;
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datasets_are_apart() {
    let stack = Stack::start().await;
    let file = format!("/datasets/{NAME}/f.csv");
    for ns in ["zebra", "okapi"] {
        stack
            .expect(201, "PUT", &format!("{file}?ns={ns}"), &format!("n\n{}\n", of(ns)))
            .await;
    }
    assert_eq!(stack.json("/datasets").await["items"], json!([]));
    for path in [format!("/datasets/{NAME}"), file.clone()] {
        stack.expect(404, "GET", &path, "").await;
        stack.expect(404, "DELETE", &path, "").await;
    }
    for ns in ["zebra", "okapi"] {
        let listing = stack.json(&format!("/datasets?ns={ns}")).await;
        assert_eq!(listing["items"].as_array().unwrap().len(), 1, "{listing}");
        assert_eq!(stack.json(&format!("/datasets/{NAME}?ns={ns}")).await["namespace"], ns);
        let content = stack.expect(200, "GET", &format!("{file}?ns={ns}"), "").await;
        assert!(content.contains(&of(ns)), "{content}");
        only_of(ns, &content);
    }
    stack.expect(204, "DELETE", &format!("/datasets/{NAME}?ns=zebra"), "").await;
    stack.expect(404, "GET", &format!("{file}?ns=zebra"), "").await;
    stack.expect(200, "GET", &format!("{file}?ns=okapi"), "").await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_and_results_are_apart() {
    let stack = Stack::start().await;
    let keyed = [("idempotency-key", NAME)];
    let mut ids = Vec::new();
    for ns in NAMESPACES {
        let job = json!({ "query": format!("select '{}'", of(ns)), "name": NAME }).to_string();
        let (status, text) = stack.ask_with("POST", &format!("/jobs?ns={ns}"), &keyed, &job).await;
        assert_eq!(status, 202, "{text}");
        let job: Value = serde_json::from_str(&text).unwrap();
        ids.push(job["id"].as_str().unwrap().to_owned());
    }
    let mut worker = Player::new(&stack.masters);
    for (ns, id) in NAMESPACES.iter().zip(&ids) {
        let ended = async || stack.json(&format!("/jobs/{id}?ns={ns}")).await["state"] == "succeeded";
        while !ended().await {
            worker.step(&stack.masters).await;
        }
    }
    for ns in NAMESPACES {
        for (owner, id) in NAMESPACES.iter().zip(&ids) {
            for path in ["", "/result", "/plan", "/tasks", "/events"] {
                let (status, text) = stack.ask("GET", &format!("/jobs/{id}{path}?ns={ns}"), "").await;
                assert_eq!(
                    status,
                    if *owner == ns { 200 } else { 404 },
                    "{path} of {owner:?} for {ns:?}: {text}"
                );
                only_of(ns, &text);
            }
            let cancelled = stack.ask("DELETE", &format!("/jobs/{id}?ns={ns}"), "").await.0;
            assert_eq!(
                cancelled,
                if *owner == ns { 409 } else { 404 },
                "it has ended, for those who know it"
            );
        }
        let listing = stack.json(&format!("/jobs?ns={ns}&name={NAME}")).await;
        assert_eq!(listing["items"].as_array().unwrap().len(), 1, "{listing}");
        only_of(ns, &listing.to_string());
    }
    let all = stack.json("/jobs?ns=*").await;
    let seen: Vec<_> = all["items"].as_array().unwrap().iter().map(|job| &job["namespace"]).collect();
    assert_eq!(seen, ["", "okapi", "zebra"], "newest first, each with its namespace");
    stack.stop().await;
}

/// What the private port of an auxiliary says of namespaces is for Prometheus: no credentials of a namespace lead there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_name_no_keys_and_those_that_clients_can_reach_no_namespaces() {
    let stack = Stack::start().await;
    for ns in NAMESPACES {
        for place in ["kv", "cache"] {
            stack.expect(201, "PUT", &format!("/{place}/{NAME}?ns={ns}"), "v").await;
            stack.expect(200, "GET", &format!("/{place}/{NAME}?ns={ns}"), "").await;
        }
        stack.expect(404, "GET", &format!("/datasets/{NAME}?ns={ns}"), "").await;
    }
    let public = stack.expect(200, "GET", "/metrics", "").await;
    let mut private = Vec::new();
    for address in [stack.masters.private(1), stack.auxiliary.address().to_string()] {
        let answer = stack.masters.peers.get(&address, "/metrics").send().await.unwrap();
        private.push(String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap());
    }
    for text in private.iter().chain([&public]) {
        assert!(text.contains("# HELP") && !text.contains(NAME), "{text}");
    }
    for ns in NAMESPACES.iter().filter(|ns| !ns.is_empty()) {
        assert!(!public.contains(ns), "{ns} is in a metric\n{public}");
        let counted = format!("cache_namespace_entries{{namespace=\"{ns}\"}} 1");
        assert!(private[1].contains(&counted), "{counted} is missing in\n{}", private[1]);
    }
    stack.stop().await;
}
