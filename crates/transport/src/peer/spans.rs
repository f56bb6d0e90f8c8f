//! Sending spans to a collector, who is no peer: an address that the operator names.
//!
//! Nothing waits for it. While the collector does not answer, a batch is sent a few times more, the queue behind it fills up, and what does not
//! fit is dropped and counted by the tracer. It is warned of once, until the collector takes spans again.

use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use telemetry::traces::{Destination, Span, SpanQueue, otlp};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::fetch::root_cause;

/// Spans in one request.
const BATCH: usize = 512;
/// How long spans wait for others to go with.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time for one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often a batch is sent.
const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// When the node stops: how long it waits for the spans of what still ends, and how long all of it may take, what was being sent included.
const LINGER: Duration = Duration::from_millis(300);
const LAST_CHANCE: Duration = Duration::from_secs(2);
/// Longest answer that is read.
const LONGEST_ANSWER: usize = 64 << 10;

/// Sends the spans of one node.
#[derive(Debug)]
pub struct SpanExporter {
    http: reqwest::Client,
    url: String,
    headers: HeaderMap,
    resource: Vec<(&'static str, String)>,
    version: &'static str,
    queue: SpanQueue,
    /// The last request failed, and that was said.
    troubled: bool,
}

/// Why a batch was not taken.
struct Refused {
    why: String,
    /// Another time it may be.
    again: bool,
}

impl SpanExporter {
    /// Ready to send what comes out of the queue, by a node that these attributes tell from others.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up, the address is none, or a header cannot be sent.
    pub fn new(
        destination: Destination,
        resource: Vec<(&'static str, String)>,
        version: &'static str,
        queue: SpanQueue,
    ) -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured(tls::client_of_public_servers())
            .build()
            .map_err(|error| error.to_string())?;
        reqwest::Url::parse(&destination.url).map_err(|error| format!("the address of the collector of traces: {error}"))?;
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(otlp::CONTENT_TYPE))]);
        for (name, value) in destination.headers {
            let wrong = || format!("OTEL_EXPORTER_OTLP_HEADERS: {name} cannot be sent");
            let mut value = HeaderValue::from_str(&value).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?, value);
        }
        Ok(Self {
            http,
            url: destination.url,
            headers,
            resource,
            version,
            queue,
            troubled: false,
        })
    }

    /// Sends until the node stops, and then what is left, as far as that goes quickly.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut in_hand = 0;
        let sending = async {
            loop {
                let batch = match stop.run_until_cancelled(self.queue.next(BATCH, PATIENCE)).await {
                    Some(batch) => batch,
                    None => {
                        let rest = self.queue.next(BATCH, Duration::ZERO);
                        tokio::time::timeout(LINGER, rest).await.unwrap_or_default()
                    }
                };
                if batch.is_empty() {
                    return;
                }
                in_hand = batch.len();
                self.deliver(&batch, &stop).await;
                in_hand = 0;
            }
        };
        let last_chance = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_CHANCE).await;
        };
        tokio::select! {
            biased;
            () = sending => {}
            () = last_chance => {}
        }
        self.queue.counts.dropped(in_hand + self.queue.len());
    }

    /// Sends a batch, and again while that may help; at the end it was taken, or is dropped.
    async fn deliver(&mut self, batch: &[Span], stop: &CancellationToken) {
        let body = Bytes::from(otlp::encode(&self.resource, self.version, batch));
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let refused = match self.send(body.clone()).await {
                Ok(rejected) => return self.taken(batch.len(), rejected.min(batch.len())),
                Err(refused) => refused,
            };
            self.tell(&refused.why);
            if !refused.again || attempt == TRIES || stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
            pause *= 2;
        }
        self.queue.counts.dropped(batch.len());
    }

    fn taken(&mut self, spans: usize, rejected: usize) {
        self.queue.counts.exported(spans - rejected);
        self.queue.counts.dropped(rejected);
        if rejected > 0 {
            return self.tell("it takes only some of them");
        }
        if std::mem::take(&mut self.troubled) {
            info!(collector = %self.url, "the collector of traces takes spans again");
        }
    }

    fn tell(&mut self, why: &str) {
        if !std::mem::replace(&mut self.troubled, true) {
            warn!(
                collector = %self.url,
                why,
                "spans cannot be exported; requests go on, and spans are dropped meanwhile (trace_spans_total). Said once until it works again"
            );
        }
    }

    /// How many the collector rejected.
    async fn send(&self, body: Bytes) -> Result<usize, Refused> {
        let exchange = async {
            let request = self.http.post(&self.url).headers(self.headers.clone()).body(body);
            let mut response = request.send().await?;
            let status = response.status();
            let mut answer = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                if answer.len() + chunk.len() > LONGEST_ANSWER {
                    answer.clear();
                    break;
                }
                answer.extend_from_slice(&chunk);
            }
            Ok::<_, reqwest::Error>((status, answer))
        };
        let again = |why| Refused { why, again: true };
        match tokio::time::timeout(TIMEOUT, exchange).await {
            Err(_) => Err(again(format!("no answer within {TIMEOUT:?}"))),
            Ok(Err(error)) => Err(again(root_cause(&error.without_url()))),
            Ok(Ok((status, answer))) if status.is_success() => Ok(otlp::rejected(&answer)),
            Ok(Ok((status, _))) => Err(Refused {
                why: format!("it answers {status}"),
                again: may_pass(status),
            }),
        }
    }
}

/// What the specification of OTLP says may be tried again.
const fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}
