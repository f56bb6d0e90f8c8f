//! Secrets are in no log, answer, listing or complaint, whatever goes wrong and however much is logged.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use api::member::Role;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use system_tests::{Answer, Api, Node, Sandbox, binary, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Arguments and environment.
type Invocation<'a> = (Vec<&'a str>, Vec<(&'a str, &'a str)>);

/// All that our crates and those that carry headers can say. (The SQL engine says more than a disk holds.)
const NOISY: &str = "trace,datafusion=info,sqlparser=info";

/// What every listener can be asked.
const PATHS: &[&str] = &[
    "/nodes",
    "/ring",
    "/metrics",
    "/health",
    "/ready",
    "/openapi.json",
    "/cluster/status",
    "/cluster/members",
    "/namespaces",
    "/backups",
    "/jobs",
    "/datasets",
    "/kv",
    "/nowhere",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_in_no_log_answer_or_listing() {
    let s3 = secret("s3");
    let store = angry_store().await;
    let mut builder = Sandbox::raft().auxiliaries(2).workers(1).nginx();
    let collector = secret("collector");
    for role in [Role::Master, Role::Auxiliary, Role::Worker] {
        // A collector that takes nothing, and is told a key.
        builder = builder
            .set(role, "RUST_LOG", NOISY)
            .set(role, "OTEL_EXPORTER_OTLP_ENDPOINT", &store)
            .set(
                role,
                "OTEL_EXPORTER_OTLP_HEADERS",
                format!("authorization=Bearer%20{collector}"),
            )
            .set(role, "OTEL_TRACES_SAMPLER", "always_on");
    }
    for role in [Role::Master, Role::Worker] {
        builder = builder
            .set(role, "S3_ENDPOINT", &store)
            .set(role, "S3_ACCESS_KEY_ID", "somebody")
            .set(role, "S3_SECRET_ACCESS_KEY", &s3);
    }
    let mut stack = builder.set(Role::Worker, "ALLOWED_BUCKETS", "private").start().await;
    let wrong = secret("wrong");
    let mut search = Search::of([stack.token.clone(), s3, wrong.clone(), collector]);

    wrong_tokens_are_refused(&mut stack, &wrong, &mut search).await;
    stranger_is_turned_away(&stack, &wrong, &mut search).await;
    refused_bucket_fails_its_job(&stack.api(), &mut search).await;
    dead_peer_is_survived(&mut stack, &mut search).await;
    for node in stack.nodes() {
        let name = node.name().to_owned();
        ask_everything(&name, &node.private(), &mut search).await;
    }
    ask_everything("the front door", &stack.api(), &mut search).await;

    for node in stack.nodes() {
        let log = node.log();
        assert!(log.contains("TRACE"), "{} says less than it can", node.name());
        search.through(&format!("the log of {}", node.name()), &log);
    }
    search.through("the log of NGINX", &stack.nginx.as_ref().unwrap().log());
    assert_eq!(search.found, Vec::<String>::new());
    assert_eq!(stack.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_of_callers_are_in_no_log_or_listing() {
    let directory = tempfile::tempdir().unwrap();
    let (token, root, wrong) = (secret("token"), secret("root"), format!("eck_{}", secret("wrong")));
    let mut search = Search::of([token.clone(), root.clone(), wrong.clone()]);
    let mut master = Node::new(Role::Master, 1, &token, directory.path());
    master.set("AUTH", "on");
    master.set("ELASTICORE_ROOT_KEY", &root);
    master.set("RUST_LOG", NOISY);
    master.start();
    master.ready(Duration::from_secs(60)).await;
    let api = master.public();
    let ask = |method: &'static str, path: &'static str, key: &str| {
        let request = api.request(method, path);
        request.header("authorization", &format!("Bearer {key}"))
    };
    for key in [&wrong, &token, &format!("{root}x")] {
        search.answer(&ask("GET", "/nodes", key).send().await, 401);
        search.answer(&api.request("GET", "/nodes").header("x-api-key", key).send().await, 401);
    }
    // Shown this once.
    let new = json!({ "name": "ci", "grants": ["reader:*:kv"] });
    let made = ask("POST", "/auth/keys", &root).json(&new).send().await.expect(201).json();
    let key = made["key"].as_str().unwrap().to_owned();
    search.add(key.splitn(3, '_').nth(2).unwrap());
    search.answer(&ask("PUT", "/kv/a", &key).body("v").send().await, 403);
    for path in [
        "/auth/keys",
        "/auth/whoami",
        "/nodes",
        "/metrics",
        "/kv",
        "/cluster/status",
        "/nowhere",
    ] {
        for key in [&root, &key] {
            search.through(path, &ask("GET", path, key).send().await.text());
        }
    }
    search.through("the private /metrics", &master.private().get("/metrics").await.text());
    let log = master.log();
    assert!(log.contains("TRACE"), "the master says less than it can");
    search.through("the log of the master", &log);
    assert_eq!(search.found, Vec::<String>::new());
}

#[test]
fn settings_are_listed_and_refused_without_secrets() {
    let (token, s3, root) = (secret("token"), secret("s3"), secret("root"));
    let mut search = Search::of([token.clone(), s3.clone(), root.clone()]);
    let directory = tempfile::tempdir().unwrap();
    for service in ["elasticore-master", "elasticore-auxiliary", "elasticore-worker"] {
        let run = |arguments: &[&str], environment: &[(&str, &str)]| {
            let mut command = Command::new(binary(service));
            command.args(arguments).env_clear().current_dir(directory.path());
            let output = command
                .env("CLUSTER_TOKEN", &token)
                .env("MASTER_ADDRESS", "127.0.0.1:1")
                .env("S3_ACCESS_KEY_ID", "somebody")
                .env("S3_SECRET_ACCESS_KEY", &s3)
                .env("ELASTICORE_ROOT_KEY", &root)
                .envs(environment.iter().copied())
                .output()
                .unwrap();
            let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            (output.status.success(), said.concat())
        };
        let (fine, listing) = run(&["--print-config"], &[]);
        assert!(fine && listing.contains("<redacted>"), "{service}: {listing}");
        search.through(&format!("{service} --print-config"), &listing);
        search.through(&format!("{service} --help"), &run(&["--help"], &[]).1);

        let broken = broken_files(directory.path(), &token);
        let mut wrong: Vec<Invocation<'_>> = broken.iter().map(|file| (vec!["--config", file], vec![])).collect();
        let address = format!("http://user:{s3}@127.0.0.1:1");
        wrong.push((vec![], vec![("ETCD_ENDPOINTS", &address)]));
        wrong.push((
            vec!["--print-config"],
            vec![("S3_ENDPOINT", &address), ("ETCD_ENDPOINTS", &address)],
        ));
        wrong.push((vec![], vec![("CLUSTER_TOKE", &token)]));
        wrong.push((vec![], vec![("MAX_IN_FLIGHT", "0"), ("NODE_ID", "a b")]));
        wrong.push((vec!["--cluster-tokn", &token], vec![]));
        wrong.push((vec!["--max-in-flight", "many", "--cluster-token", &token], vec![]));
        for (arguments, environment) in wrong {
            let (fine, said) = run(&arguments, &environment);
            assert!(!fine && !said.is_empty(), "{service} {arguments:?} {environment:?}: {said}");
            search.through(&format!("{service} {}", arguments.join(" ")), &said);
        }
    }
    assert_eq!(search.found, Vec::<String>::new());
}

/// Configuration files that cannot be read, each for another reason, with the secret where the reason is.
fn broken_files(directory: &Path, token: &str) -> Vec<String> {
    let contents = [
        ("open.toml", format!("cluster_token = \"{token}")),
        ("bare.toml", format!("cluster_token = {token}")),
        ("list.toml", format!("cluster_token = [\"{token}\"]")),
        ("table.toml", format!("[cluster_token]\n{token} = 1")),
        ("open.yaml", format!("cluster_token: \"{token}")),
        ("colon.yaml", format!("cluster_token: {token}: x")),
        ("map.yaml", format!("cluster_token: {{{token}: x}}")),
        ("indented.yaml", format!("cluster_token: {token}\n port: 3")),
    ];
    contents
        .into_iter()
        .map(|(name, content)| {
            let path = directory.join(name);
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        })
        .collect()
}

async fn wrong_tokens_are_refused(stack: &mut Sandbox, wrong: &str, search: &mut Search) {
    let (token, door) = (stack.token.clone(), stack.api());
    for node in stack.nodes() {
        let private = node.private();
        for sent in [wrong, &token, ""] {
            let answer = private
                .request("POST", "/internal/v1/nothing")
                .header("x-cluster-token", sent);
            search.answer(&answer.send().await, if sent == token { 404 } else { 401 });
        }
        // Where it does not belong.
        let bearer = private.request("POST", "/internal/v1/nothing");
        let answer = bearer.header("authorization", &format!("Bearer {token}")).send().await;
        search.answer(&answer, 401);
    }
    for sent in [wrong, &token] {
        let answer = door
            .request("POST", "/cluster/join")
            .header("x-cluster-token", sent)
            .send()
            .await;
        search.answer(&answer, if sent == token { 200 } else { 401 });
    }
    let forged = door.request("GET", "/cache/absent").header("x-cluster-token", &token);
    search.answer(&forged.send().await, 404);
}

/// A node of another cluster asks to come in.
async fn stranger_is_turned_away(stack: &Sandbox, wrong: &str, search: &mut Search) {
    let elsewhere = stack.directory().join("stranger");
    std::fs::create_dir(&elsewhere).unwrap();
    let mut stranger = Node::new(Role::Auxiliary, 9, wrong, &elsewhere);
    stranger.set("MASTER_ADDRESS", &stack.address());
    stranger.set("RUST_LOG", NOISY);
    stranger.start();
    eventually("the stranger to be told why", Duration::from_secs(30), || {
        let log = stranger.log();
        async move { if log.contains("CLUSTER_TOKEN") { Ok(()) } else { Err(log) } }
    })
    .await;
    stranger.kill();
    search.through("the log of a stranger", &stranger.log());
}

async fn refused_bucket_fails_its_job(api: &Api, search: &mut Search) {
    let spec = json!({ "query": "SELECT * FROM t", "tables": { "t": { "uri": "s3://private/table.csv" } } });
    let id = api.submit(&spec).await;
    let job = api.finished(&id, Duration::from_secs(90)).await;
    assert_eq!(job["state"], "failed", "{job:#}");
    search.through("the record of a failed job", &job.to_string());
    for rest in ["", "/result", "/plan", "/tasks", "/events"] {
        let answer = api.get(&format!("/jobs/{id}{rest}")).await;
        search.through(&format!("/jobs/{{id}}{rest}"), &answer.text());
    }
    // A password in the address of a table is refused; what the user wrote is the user's own, and still not repeated in logs.
    let password = secret("password");
    search.add(&password);
    let uri = format!("http://user:{password}@127.0.0.1:1/t.csv");
    let answer = api
        .post(
            "/jobs",
            &json!({ "query": "SELECT * FROM t", "tables": { "t": { "uri": uri } } }),
        )
        .await;
    if answer.status == 202 {
        let job = answer.json()["id"].as_str().unwrap().to_owned();
        let ended = api.finished(&job, Duration::from_secs(60)).await;
        assert_eq!(ended["state"], "failed", "{ended:#}");
        search.through("the error of a job", &ended["error"].to_string());
    } else {
        search.through("the refusal of a job", &answer.text());
    }
}

async fn dead_peer_is_survived(stack: &mut Sandbox, search: &mut Search) {
    let api = stack.api();
    api.put("/cache/k", "v").await.expect(201);
    stack.auxiliaries[0].kill();
    stack.ring_of(&[1], Duration::from_secs(60)).await;
    search.answer(&api.get("/cache/k").await, 200);
    stack.auxiliaries[0].start();
    stack.auxiliaries[0].ready(Duration::from_secs(60)).await;
}

async fn ask_everything(name: &str, api: &Api, search: &mut Search) {
    for path in PATHS {
        let answer = api.get(path).await;
        search.through(&format!("{path} of {name}"), &answer.text());
        let headers = format!("{:?}", answer.headers);
        search.through(&format!("the headers of {path} of {name}"), &headers);
    }
}

/// Something nobody would write by accident.
fn secret(of: &str) -> String {
    format!("{of}-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}

/// An S3 that refuses everybody, and repeats in its answer what it was sent.
async fn angry_store() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 16 << 10];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let heard = String::from_utf8_lossy(&request[..read]).replace(['<', '&'], " ");
            let body = format!("<Error><Code>AccessDenied</Code><Message>{heard}</Message></Error>");
            let head = format!(
                "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            // Whoever hangs up early has heard enough.
            stream.write_all((head + &body).as_bytes()).await.ok();
        }
    });
    address
}

/// Looks for secrets in all their spellings, and keeps where it found one.
struct Search {
    spellings: Vec<String>,
    found: Vec<String>,
}

impl Search {
    fn of(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut search = Self {
            spellings: Vec::new(),
            found: Vec::new(),
        };
        secrets.into_iter().for_each(|secret| search.add(&secret));
        search
    }

    fn add(&mut self, secret: &str) {
        let bytes = secret.as_bytes();
        let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{bytes:?}");
        self.spellings.extend([
            secret.to_owned(),
            STANDARD.encode(bytes),
            URL_SAFE_NO_PAD.encode(bytes),
            hex,
            list.trim_matches(['[', ']']).to_owned(),
        ]);
    }

    fn through(&mut self, place: &str, text: &str) {
        for line in text.lines() {
            if let Some(spelling) = self.spellings.iter().find(|spelling| line.contains(*spelling)) {
                let shown: String = line.replace(spelling, "▒▒▒").chars().take(500).collect();
                self.found.push(format!("{place}: {shown}"));
            }
        }
    }

    fn answer(&mut self, answer: &Answer, status: u16) {
        let answer = answer.clone().expect(status);
        self.through("an answer", &answer.text());
        self.through("the headers of an answer", &format!("{:?}", answer.headers));
    }
}
