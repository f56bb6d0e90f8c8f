//! Every route that there is, asked by every role, in its own namespace and in others': what comes in is what the table of rules says, and
//! every route has a rule.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use access::{Action, Grant, KeyRecord, RULES, Resource, Role, Row, Rule, find};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use serde_json::Value;
use telemetry::new_registry;
use transport::ApiError;
use transport::server::{Admission, Gate, HttpMetrics, Layers, Readiness};

use super::Answer;
use super::stack::Stack;
use crate::app::auth::{Identities, Keyring};
use crate::http::gate::Front;
use crate::http::public;

/// What is answered in place of a handler, so that a walk changes nothing.
const LET_IN: u16 = 299;
const ROOT: &str = "a root key of thirty-two letters";
/// Routes that the document does not show, since they are no part of the API, or another spelling of what is.
const UNSHOWN: [(&str, &str); 7] = [
    ("GET", "/cache"),
    ("PUT", "/cache"),
    ("DELETE", "/cache"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
];

/// The gate, and nothing behind it.
#[derive(Debug)]
struct Only(Front);

impl Gate for Only {
    fn admit(&self, request: &mut Request) -> Admission {
        match self.0.judge(request).verdict {
            Ok(()) => {
                let path = request.extensions().get::<axum::extract::MatchedPath>();
                let reached = path.map_or("nothing", |path| path.as_str()).to_owned();
                Admission::refused(ApiError::invalid(reached).with_status(StatusCode::from_u16(LET_IN).unwrap()))
            }
            Err(refused) => Admission::refused(refused),
        }
    }
}

/// A public listener before which only its gate is asked.
struct Door {
    router: Router,
    keyring: Arc<Keyring>,
    _stack: Stack,
}

impl Door {
    async fn open() -> Self {
        let stack = Stack::start(1, 1).await;
        let keyring = Arc::new(Keyring::new(Duration::from_secs(600)));
        keyring.hear(cluster::Update::Listed(Vec::new(), 1));
        let identities = Arc::new(Identities::on(ROOT, Arc::clone(&keyring), None));
        let registry = new_registry();
        let front = Front::new(identities, settings::Secret::new("cluster-token"), &registry);
        let layers = Layers::new(HttpMetrics::new(&registry), Duration::from_secs(5), 1024, 64).gated(Arc::new(Only(front)));
        let router = layers.around(public(Arc::clone(&stack.app), new_registry(), Readiness::default()));
        Self {
            router,
            keyring,
            _stack: stack,
        }
    }

    /// A key with these grants.
    fn key(&self, grants: &[&str]) -> String {
        let grants: Vec<Grant> = grants.iter().map(|grant| grant.parse().unwrap()).collect();
        let (record, text) = KeyRecord::create("walk".to_owned(), grants, String::new(), 1, None);
        self.keyring.put(record, 2);
        text
    }

    async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = Answer::of(self.router.clone(), request.body(Body::empty()).unwrap()).await;
        answer.status.as_u16()
    }
}

/// A path that its template matches.
fn concrete(template: &str) -> String {
    let segment = |part: &str| {
        if part.starts_with('{') {
            "x".to_owned()
        } else {
            part.to_owned()
        }
    };
    template.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// What the table says of a role in namespace `own` (or all), asking about `asked` (`None` for all): told here in other words than in the
/// code that decides.
fn expected(rule: Rule, role: Role, everywhere: bool, resource: Resource, asked: Option<&str>) -> u16 {
    let (wanted, action, reaches) = match rule {
        Rule::Open | Rule::Known => return LET_IN,
        Rule::OfCluster => return 401,
        Rule::Within(wanted, action) | Rule::Beyond(wanted, action) => (wanted, action, everywhere || asked == Some("own")),
        Rule::Across(wanted, action) => (wanted, action, everywhere),
    };
    if wanted == resource && role.allows(resource, action) && reaches {
        LET_IN
    } else {
        403
    }
}

#[tokio::test]
async fn every_route_lets_in_whom_the_table_names_and_nobody_else() {
    let door = Door::open().await;
    let mut asked = 0;
    for role in Role::ALL {
        for resource in Resource::ALL {
            if !Action::ALL.into_iter().any(|action| role.allows(resource, action)) {
                continue;
            }
            for namespaces in ["own", "*"] {
                let key = door.key(&[&format!("{role}:{namespaces}:{resource}")]);
                let bearer = format!("Bearer {key}");
                for row in RULES {
                    let path = concrete(row.path);
                    for (namespace, about) in [
                        ("own", Some("own")),
                        ("foreign", Some("foreign")),
                        ("", Some("")),
                        ("*", None),
                    ] {
                        let expected = expected(row.rule, role, namespaces == "*", resource, about);
                        let by_query = format!("{path}?ns={namespace}");
                        let headers = [("authorization", &*bearer), ("x-namespace", namespace)];
                        let answers = [
                            door.ask(row.method, &by_query, &headers[..1]).await,
                            door.ask(row.method, &path, &headers).await,
                        ];
                        let of = format!("{} {by_query} as {role}:{namespaces}:{resource}", row.method);
                        assert_eq!(answers, [expected; 2], "{of}");
                        asked += 2;
                    }
                }
            }
        }
    }
    assert!(asked > 10_000, "{asked}");
}

#[tokio::test]
async fn nobody_comes_in_without_a_key_of_this_cluster() {
    let door = Door::open().await;
    let key = door.key(&["admin"]);
    let wrong_secret = format!("Bearer {}", key.replace(&key[30..34], "wxyz"));
    let root_but_one = format!("Bearer {}", ROOT.replace('y', "x"));
    for row in RULES {
        let path = concrete(row.path);
        let open = row.rule == Rule::Open;
        for shown in [
            None,
            Some(("authorization", "Bearer ")),
            Some(("authorization", "Basic cm9vdDpyb290")),
            Some(("authorization", &*wrong_secret)),
            Some(("authorization", &*root_but_one)),
            // What the nodes of the cluster show each other is nobody's key here.
            Some(("authorization", "Bearer cluster-token")),
            Some(("x-api-key", "cluster-token")),
            Some((
                "authorization",
                "Bearer eyJhbGciOiJub25lIn0.eyJlbGFzdGljb3JlIjpbImFkbWluIl19.",
            )),
        ] {
            let headers: Vec<_> = shown.into_iter().collect();
            let expected = if open { LET_IN } else { 401 };
            assert_eq!(
                door.ask(row.method, &path, &headers).await,
                expected,
                "{} {path} {shown:?}",
                row.method
            );
        }
        let token = [("x-cluster-token", "cluster-token")];
        let with_token = door.ask(row.method, &path, &token).await;
        let lets_nodes_in = open || row.rule == Rule::OfCluster;
        assert_eq!(with_token, if lets_nodes_in { LET_IN } else { 401 }, "{} {path}", row.method);
        let root = format!("Bearer {ROOT}");
        let by_root = door.ask(row.method, &path, &[("authorization", &root)]).await;
        assert_eq!(
            by_root,
            if row.rule == Rule::OfCluster { 401 } else { LET_IN },
            "{} {path}",
            row.method
        );
    }
}

#[tokio::test]
async fn routes_and_rules_are_the_same_and_the_document_says_so() {
    let stack = Stack::start(1, 1).await;
    let router = public(Arc::clone(&stack.app), new_registry(), Readiness::default());
    let request = Request::get("/openapi.json").body(Body::empty()).unwrap();
    let document = Answer::of(router, request).await.expect(200).json();
    let mut shown: BTreeSet<(String, String)> = UNSHOWN.map(|(method, path)| (method.to_owned(), path.to_owned())).into();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_ascii_uppercase();
            if !["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS"].contains(&&*method) {
                continue;
            }
            let path = path.replace("{file}", "{*file}");
            check_security(&method, &path, operation);
            shown.insert((method, path));
        }
    }
    let ruled: BTreeSet<(String, String)> = RULES.iter().map(|row| (row.method.to_owned(), row.path.to_owned())).collect();
    let without_rule: Vec<_> = shown.difference(&ruled).collect();
    assert!(without_rule.is_empty(), "add these routes to access::RULES: {without_rule:?}");
    let without_route: Vec<_> = ruled.difference(&shown).collect();
    assert!(without_route.is_empty(), "these rules are for no route: {without_route:?}");
}

/// What a document says of an operation is what the table does.
fn check_security(method: &str, path: &str, operation: &Value) {
    let access::Found::Row(Row { rule, .. }) = find(method, path) else {
        return;
    };
    let schemes: Vec<&String> = operation["security"]
        .as_array()
        .unwrap_or_else(|| panic!("{method} {path} says nothing of security"))
        .iter()
        .flat_map(|one| one.as_object().unwrap().keys())
        .collect();
    let expected: &[&str] = match rule {
        Rule::Open => &[],
        Rule::OfCluster => &["clusterToken"],
        _ => &["bearer", "apiKey"],
    };
    assert_eq!(schemes, expected, "{method} {path}");
    let refuses = |status: &str| !operation["responses"][status].is_null();
    let (known, may) = (
        *rule != Rule::Open,
        !matches!(rule, Rule::Open | Rule::OfCluster | Rule::Known),
    );
    assert_eq!((refuses("401"), refuses("403") || !may), (known, true), "{method} {path}");
}

/// The walk asks by the table; that what it asked are routes, and those meant, is another thing.
#[tokio::test]
async fn every_rule_is_reached_by_its_own_route() {
    let door = Door::open().await;
    let root = format!("Bearer {ROOT}");
    for row in RULES {
        let mut request = Request::builder()
            .method(row.method)
            .uri(concrete(row.path))
            .header("authorization", &root);
        if row.rule == Rule::OfCluster {
            request = request.header("x-cluster-token", "cluster-token");
        }
        let answer = Answer::of(door.router.clone(), request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), LET_IN, "{} {}", row.method, row.path);
        if row.method != "HEAD" {
            assert_eq!(answer.json()["detail"], row.path, "{}", row.method);
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_told_to_strangers() {
    let door = Door::open().await;
    let key = format!("Bearer {}", door.key(&["reader:own:cache"]));
    let known = [("authorization", &*key)];
    for path in ["/nothing", "/internal/v1/cluster/status", "/cache/a/b", "/auth"] {
        assert_eq!(door.ask("GET", path, &[]).await, 401, "{path}");
        assert_eq!(
            door.ask("GET", path, &known).await,
            LET_IN,
            "to the 404 behind the gate: {path}"
        );
    }
    assert_eq!(door.ask("PATCH", "/cache/x", &[]).await, 401);
    assert_eq!(door.ask("PATCH", "/cache/x", &known).await, 405);
    assert_eq!(door.ask("HEAD", "/backup", &known).await, 405);
}

#[tokio::test]
async fn namespaces_cannot_be_named_in_two_ways_at_once() {
    let door = Door::open().await;
    let key = format!("Bearer {}", door.key(&["reader:own:cache,kv"]));
    let own = [("authorization", &*key), ("x-namespace", "own")];
    for (target, expected) in [
        ("/cache/x", LET_IN),
        ("/cache/x?ns=own", LET_IN),
        ("/cache/x?ns=foreign", 403),
        ("/cache/x?%6es=foreign", 403),
        ("/cache/x?n%73=foreign&key=ns", 403),
        ("/cache/x?ns=own&ns=foreign", 400),
        ("/cache/x?ns=own&%6Es=foreign", 400),
        ("/cache/x?ns=", 403),
        ("/cache/x?ns=*", 403),
        ("/cache/x?ns=%2A", 403),
        ("/cache/x?ns=OWN", 403),
        ("/cache/x?ns=own%00", 400),
        ("/cache/x?ns=own/../foreign", 400),
        ("/cache/x?ns=%ff", 400),
    ] {
        assert_eq!(door.ask("GET", target, &own).await, expected, "{target}");
    }
    let twice = [own[0], own[1], ("x-namespace", "foreign")];
    assert_eq!(door.ask("GET", "/cache/x", &twice).await, 400);
}

#[test]
fn the_document_shows_the_table() {
    const DOCUMENT: &str = include_str!("../../../../../docs/security.md");
    let lines = RULES.iter().map(|row| {
        let path = row.path.replace("{*file}", "{file}");
        format!("| `{} {path}` | {} |", row.method, row.rule.describe())
    });
    let roles = Role::ALL.into_iter().map(|role| {
        let cells = Resource::ALL.map(|resource| {
            let actions = Action::ALL.into_iter().filter(|action| role.allows(resource, *action));
            actions.map(Action::as_str).collect::<Vec<_>>().join(", ")
        });
        format!("| `{role}` | {} |", cells.join(" | "))
    });
    let wanted: Vec<String> = lines.chain(roles).collect();
    let missing: Vec<&String> = wanted
        .iter()
        .filter(|line| !DOCUMENT.lines().any(|shown| shown == **line))
        .collect();
    let listed: Vec<String> = missing.into_iter().cloned().collect();
    assert!(listed.is_empty(), "docs/security.md lacks:\n{}", listed.join("\n"));
    let stale: Vec<&str> = DOCUMENT
        .lines()
        .filter(|line| {
            ["| `GET /", "| `PUT /", "| `POST /", "| `DELETE /", "| `HEAD /"]
                .iter()
                .any(|begins| line.starts_with(begins))
        })
        .filter(|line| !wanted.iter().any(|row| row == line))
        .collect();
    assert!(stale.is_empty(), "docs/security.md has what is not so:\n{}", stale.join("\n"));
}
