//! A master (or a load balancer before several) over HTTP, as any client would use it.

use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Client, RequestBuilder, Response};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::sse::{Parser, SseEvent};
use super::{Change, Changes, Outcome, Position, Target};
use crate::history::{Answer, Compare, Op, Step, StepAnswer, Value, appended};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(1);
/// Silence on a watch after which it is given up; masters send a comment every 10 s.
const SILENCE: Duration = Duration::from_secs(12);

/// One base URL. A request is sent once: what did not get an answer may have been executed.
#[derive(Debug, Clone)]
pub struct HttpTarget {
    name: String,
    base: String,
    client: Client,
    timeout: Duration,
}

impl HttpTarget {
    /// At `http://host:port`. Answers are waited for so long; less than the server's own deadline makes more outcomes unknown.
    ///
    /// # Panics
    /// When no client can be made.
    #[must_use]
    pub fn new(name: &str, base: &str, timeout: Duration) -> Self {
        // A pooled connection that the server has just closed would be tried again by the client itself, for reads; that is
        // what ordinary clients do. Writes it never repeats once a byte was sent.
        let client = Client::builder()
            .no_proxy()
            .tls_backend_preconfigured(tls::backend_of_plain_clients())
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none());
        Self {
            name: name.to_owned(),
            base: base.trim_end_matches('/').to_owned(),
            client: client.build().expect("a client without TLS can be made"),
            timeout,
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}/kv/{}", self.base, utf8_percent_encode(key, NON_ALPHANUMERIC))
    }

    fn request(&self, op: &Op) -> RequestBuilder {
        match op {
            Op::Read { key, stale } => {
                let request = self.client.get(self.key(key));
                if *stale {
                    request.query(&[("consistency", "stale")])
                } else {
                    request
                }
            }
            Op::Write { key, value } => self.client.put(self.key(key)).body(value.to_bytes()),
            Op::Delete { key } => self.client.delete(self.key(key)),
            Op::Cas {
                key, value, revision, ..
            } => self.swap(key, value, *revision),
            Op::Append {
                key,
                onto,
                element,
                revision,
            } => self.swap(key, &appended(onto, *element), *revision),
            Op::Txn {
                compare,
                then,
                otherwise,
            } => {
                let steps = |steps: &[Step]| steps.iter().map(step).collect::<Vec<_>>();
                let compare: Vec<_> = compare.iter().map(condition).collect();
                let body = json!({ "compare": compare, "then": steps(then), "else": steps(otherwise) });
                self.client.post(format!("{}/kv/_txn", self.base)).json(&body)
            }
        }
    }

    fn swap(&self, key: &str, value: &Value, revision: u64) -> RequestBuilder {
        let request = self.client.put(self.key(key)).body(value.to_bytes());
        match revision {
            0 => request.header(IF_NONE_MATCH, "*"),
            revision => request.header(IF_MATCH, format!("\"{revision}\"")),
        }
    }
}

#[async_trait]
impl Target for HttpTarget {
    fn name(&self) -> &str {
        &self.name
    }

    async fn ask(&self, op: &Op) -> Outcome {
        let answered = async {
            let response = self.request(op).send().await?;
            told(op, response).await
        };
        let reads = matches!(op, Op::Read { .. });
        let outcome = match tokio::time::timeout(self.timeout, answered).await {
            Ok(Ok(outcome)) => outcome,
            // No connection was made, so nothing was sent.
            Ok(Err(error)) if error.is_connect() => Outcome::NotExecuted("no connection".to_owned()),
            Ok(Err(error)) => Outcome::Unknown(chain(&error)),
            Err(_) => Outcome::Unknown(format!("no answer within {:?}", self.timeout)),
        };
        match outcome {
            // A read that fails has done nothing, however it fails.
            Outcome::Unknown(reason) if reads => Outcome::NotExecuted(reason),
            outcome => outcome,
        }
    }

    async fn watch(&self, prefix: &str, begin: &Position) -> Result<Changes, String> {
        let request = self
            .client
            .get(format!("{}/kv/_watch", self.base))
            .query(&[("prefix", prefix)]);
        let request = match begin {
            Position::From(from) => request.query(&[("from", from.to_string())]),
            // As a browser's EventSource does.
            Position::After(id) => request.header("last-event-id", id),
        };
        let response = match tokio::time::timeout(self.timeout, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(chain(&error)),
            Err(_) => return Err(format!("no answer within {:?}", self.timeout)),
        };
        match response.status().as_u16() {
            200 => Ok(changes(response)),
            status => Err(status.to_string()),
        }
    }
}

async fn told(op: &Op, response: Response) -> Result<Outcome, reqwest::Error> {
    let status = response.status().as_u16();
    let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
    let revision = tag.and_then(|tag| tag.trim_matches('"').parse().ok()).unwrap_or(0);
    let done = |answer| Ok(Outcome::Done(answer));
    match (op, status) {
        (Op::Read { .. }, 200) => {
            let value = Some(Value::from_bytes(&response.bytes().await?));
            done(Answer::Read { value, revision })
        }
        (Op::Read { .. }, 404) => done(Answer::Read {
            value: None,
            revision: 0,
        }),
        (Op::Write { .. }, 200 | 201) => done(Answer::Written { revision }),
        (Op::Delete { .. }, 204) => done(Answer::Deleted { existed: true }),
        (Op::Delete { .. }, 404) => done(Answer::Deleted { existed: false }),
        (Op::Cas { .. } | Op::Append { .. }, 200 | 201) => done(Answer::Swapped { done: true, revision }),
        (Op::Cas { .. } | Op::Append { .. }, 412) => done(Answer::Swapped {
            done: false,
            revision: 0,
        }),
        (Op::Txn { .. }, 200) => done(response.json::<TxnAnswer>().await?.into()),
        _ => {
            let reason = format!("{status} {}", response.text().await?);
            // 429 and 503 say: not executed. So does every other answer that finds fault with the request.
            let refused = status == 503 || (400..500).contains(&status) && status != 408;
            Ok(if refused {
                Outcome::NotExecuted(reason)
            } else {
                Outcome::Unknown(reason)
            })
        }
    }
}

fn condition(compare: &Compare) -> Json {
    let key = &compare.key;
    match &compare.expected {
        Some(value) if compare.revision == 0 => json!({ "key": key, "value": value.to_string() }),
        Some(_) => json!({ "key": key, "revision": compare.revision }),
        None => json!({ "key": key, "exists": false }),
    }
}

fn step(step: &Step) -> Json {
    match step {
        Step::Get { key } => json!({ "op": "get", "key": key }),
        Step::Put { key, value } => json!({ "op": "put", "key": key, "value": value.to_string() }),
        Step::Delete { key } => json!({ "op": "delete", "key": key }),
    }
}

/// The answer to a transaction, as it comes.
#[derive(Debug, Deserialize)]
struct TxnAnswer {
    succeeded: bool,
    revision: u64,
    results: Vec<StepResult>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StepResult {
    Get(Option<Item>),
    Put(#[expect(dead_code, reason = "the revision is that of the whole transaction")] u64),
    Deleted(bool),
}

#[derive(Debug, Deserialize)]
struct Item {
    key: String,
    /// Absent from the event of a removal.
    #[serde(default)]
    value: String,
    revision: u64,
}

impl From<TxnAnswer> for Answer {
    fn from(answer: TxnAnswer) -> Self {
        let steps = answer.results.into_iter().map(|result| match result {
            StepResult::Get(item) => StepAnswer::Got(item.map(|item| (Value::from_text(&item.value), item.revision))),
            StepResult::Put(_) => StepAnswer::Put,
            StepResult::Deleted(existed) => StepAnswer::Deleted(existed),
        });
        Self::Txn {
            steps: steps.collect(),
            succeeded: answer.succeeded,
            revision: answer.revision,
        }
    }
}

/// The events of a stream, to its end or to a silence.
fn changes(response: Response) -> Changes {
    let state = Some((response.bytes_stream().boxed(), Parser::default()));
    let items = stream::unfold(state, |state| async {
        let (mut bytes, mut parser) = state?;
        let found = match tokio::time::timeout(SILENCE, bytes.next()).await {
            Ok(Some(Ok(chunk))) => parser.take(&chunk).iter().filter_map(change).collect(),
            Ok(Some(Err(error))) => vec![Change::Broken(chain(&error))],
            Ok(None) => vec![Change::Broken("the stream ended".to_owned())],
            Err(_) => vec![Change::Broken(format!("silent for {SILENCE:?}"))],
        };
        let goes_on = found.iter().all(|change| matches!(change, Change::Key { .. }));
        Some((stream::iter(found), goes_on.then_some((bytes, parser))))
    });
    items.flatten().boxed()
}

fn change(event: &SseEvent) -> Option<Change> {
    let item = serde_json::from_str::<Item>(&event.data);
    match (event.name.as_str(), item) {
        ("listening", _) => None,
        ("put" | "delete", Ok(item)) => Some(Change::Key {
            value: (event.name == "put").then(|| Value::from_text(&item.value)),
            key: item.key,
            revision: item.revision,
            // `revision.n`: more of the same revision follows.
            whole: event.id.as_ref().is_some_and(|id| !id.contains('.')),
            resume: event.id.clone().map(Position::After),
        }),
        ("compacted", _) => Some(Change::Compacted),
        _ => Some(Change::Broken(format!("{} {}", event.name, event.data))),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
