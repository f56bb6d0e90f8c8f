//! One way in, and what its answers mean.

use std::time::Duration;

use reqwest::header::{IF_MATCH, IF_NONE_MATCH};
use reqwest::{Client, RequestBuilder, Response};

use super::value::{found, value};
use super::{Condition, Found, Key, Op, Outcome, Reason, Told};

/// Longest wait for the answer to a write: longer than a master tries (5 s), so that it is the master who says how it ended.
const WRITE_TIMEOUT: Duration = Duration::from_secs(7);
/// Longest wait for the answer to a read, which may simply be asked again.
const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A master or the load balancer, spoken to over kept-alive connections.
#[derive(Debug, Clone)]
pub struct Door {
    base: String,
    client: Client,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// How the request ended.
    pub outcome: Outcome,
    /// The answer's ETag; empty when it has none.
    pub etag: String,
    /// The node that answered, when the answer says so.
    pub node: String,
}

impl Reply {
    /// Where it came from, for people.
    pub(super) fn source(&self) -> String {
        format!("{} {}", self.node, self.etag).trim().to_owned()
    }
}

impl Door {
    /// The public API at `host:port`.
    ///
    /// # Panics
    /// When no client can be made.
    #[must_use]
    pub fn at(address: &str) -> Self {
        let client = Client::builder()
            .no_proxy()
            .tls_backend_preconfigured(tls::backend_of_plain_clients())
            .connect_timeout(CONNECT_TIMEOUT)
            .build();
        Self {
            base: format!("http://{address}"),
            client: client.expect("a client without TLS can be made"),
        }
    }

    /// Asks once. `etag` is the one that a [`Condition::Holds`] means.
    pub async fn ask(&self, key: Key, op: Op, etag: Option<&str>) -> Reply {
        let timeout = if op == Op::Get { READ_TIMEOUT } else { WRITE_TIMEOUT };
        let request = self.request(key, op, etag).timeout(timeout);
        match request.send().await {
            Err(error) => Reply {
                outcome: failed(&error),
                etag: String::new(),
                node: String::new(),
            },
            Ok(response) => {
                let header = |name: &str| {
                    let text = response.headers().get(name).and_then(|text| text.to_str().ok());
                    text.unwrap_or_default().to_owned()
                };
                Reply {
                    etag: header("etag"),
                    node: header("x-cache-node"),
                    outcome: told(key, op, response).await,
                }
            }
        }
    }

    fn request(&self, key: Key, op: Op, etag: Option<&str>) -> RequestBuilder {
        let url = format!("{}/cache/{key}", self.base);
        match op {
            Op::Get => self.client.get(url),
            Op::Delete { .. } => self.client.delete(url),
            Op::Incr => self.client.post(format!("{}/cache/_incr?key={key}&by=1", self.base)),
            Op::Put { write, ttl, condition } => {
                let url = match ttl {
                    Some(ttl) => format!("{url}?ttl={}", ttl.as_secs_f64()),
                    None => url,
                };
                let request = self.client.put(url).body(value(key, write));
                match condition {
                    Condition::None => request,
                    Condition::Absent => request.header(IF_NONE_MATCH, "*"),
                    Condition::Holds(_) => request.header(IF_MATCH, etag.unwrap_or("\"0\"")),
                }
            }
        }
    }
}

fn failed(error: &reqwest::Error) -> Outcome {
    // First: a connection that was not made in time is also a time-out.
    if error.is_connect() {
        Outcome::NotExecuted(Reason::NoConnection)
    } else if error.is_timeout() {
        Outcome::Unknown(Reason::TimedOut)
    } else {
        Outcome::Unknown(Reason::Broken)
    }
}

async fn told(key: Key, op: Op, response: Response) -> Outcome {
    let status = response.status().as_u16();
    let done = |told| Outcome::Done(told);
    match (op, status) {
        (_, 503 | 429) => Outcome::NotExecuted(Reason::Status(status)),
        (Op::Get, 200) => match response.bytes().await {
            Ok(bytes) => done(read(key, &bytes)),
            Err(error) => failed(&error),
        },
        (Op::Get, 404) => done(Told::Read(Found::Nothing)),
        (Op::Put { .. }, 200 | 201) => done(Told::Stored { created: status == 201 }),
        (Op::Delete { .. }, 200 | 204) => done(Told::Deleted { existed: true }),
        (Op::Delete { .. }, 404) => done(Told::Deleted { existed: false }),
        (Op::Put { .. } | Op::Delete { .. }, 412) => Outcome::Refused,
        (Op::Incr, 200) => match response.json::<serde_json::Value>().await {
            Ok(body) => done(Told::Counter(body["value"].as_i64().unwrap_or(-1))),
            Err(error) => failed(&error),
        },
        _ => Outcome::Unknown(Reason::Status(status)),
    }
}

fn read(key: Key, bytes: &[u8]) -> Told {
    match (key, std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok())) {
        (Key::Counter(_), Some(value)) => Told::Counter(value),
        _ => Told::Read(found(key, bytes)),
    }
}
