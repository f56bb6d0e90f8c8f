//! A collector of traces, as tests want one: it takes OTLP over HTTP, and shows what came.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use prost::Message;
use telemetry::traces::otlp::{AnyType, ExportRequest, KeyValue, SpanMessage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running collector; it is gone when it is dropped.
#[derive(Debug)]
pub struct Collector {
    address: String,
    taken: Arc<Mutex<Taken>>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Taken {
    spans: Vec<SeenSpan>,
    bytes: Vec<u8>,
    heads: Vec<String>,
}

/// A span that came.
#[derive(Debug, Clone)]
pub struct SeenSpan {
    /// `service.name`.
    pub service: String,
    /// `service.instance.id`.
    pub instance: String,
    /// Id of its trace, in hexadecimal digits.
    pub trace: String,
    /// Its id.
    pub id: String,
    /// That of the span it is a part of; empty for none.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// 1 internal, 2 server, 3 client.
    pub kind: i32,
    /// What is known of it.
    pub attributes: BTreeMap<String, String>,
    /// Names of its events.
    pub events: Vec<String>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

impl Collector {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let taken = Arc::<Mutex<Taken>>::default();
        let into = Arc::clone(&taken);
        let serving = tokio::spawn(async move {
            // Connections end with the collector: they are its children.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&into)));
            }
        });
        Self { address, taken, serving }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans so far of a trace.
    ///
    /// # Panics
    /// When a connection of it panicked.
    #[must_use]
    pub fn spans_of(&self, trace: &str) -> Vec<SeenSpan> {
        let taken = self.taken.lock().expect("nobody panicked");
        taken.spans.iter().filter(|span| span.trace == trace).cloned().collect()
    }

    /// Whether a text is anywhere in what came.
    ///
    /// # Panics
    /// When a connection of it panicked.
    #[must_use]
    pub fn saw(&self, text: &str) -> bool {
        let taken = self.taken.lock().expect("nobody panicked");
        taken.bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// Heads of the requests so far.
    ///
    /// # Panics
    /// When a connection of it panicked.
    #[must_use]
    pub fn heads(&self) -> Vec<String> {
        self.taken.lock().expect("nobody panicked").heads.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Takes requests until the client has no more.
async fn serve(mut stream: TcpStream, into: Arc<Mutex<Taken>>) {
    while let Some((head, body)) = request(&mut stream).await {
        let status = match ExportRequest::decode(body.as_slice()) {
            Ok(spans) => {
                let mut taken = into.lock().expect("nobody panicked");
                taken.spans.extend(seen(spans));
                taken.bytes.extend(body);
                taken.heads.push(head);
                "200 OK"
            }
            Err(_) => "400 Bad Request",
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    let mut body = vec![0; length.trim().parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

fn seen(request: ExportRequest) -> Vec<SeenSpan> {
    let mut all = Vec::new();
    for node in request.resource_spans {
        let mut told = attributes(&node.resource.unwrap_or_default().attributes);
        let service = told.remove("service.name").unwrap_or_default();
        let instance = told.remove("service.instance.id").unwrap_or_default();
        let spans = node.scope_spans.into_iter().flat_map(|scope| scope.spans);
        all.extend(spans.map(|span| one(&service, &instance, span)));
    }
    all
}

fn one(service: &str, instance: &str, span: SpanMessage) -> SeenSpan {
    SeenSpan {
        service: service.to_owned(),
        instance: instance.to_owned(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        attributes: attributes(&span.attributes),
        name: span.name,
        kind: span.kind,
        events: span.events.into_iter().map(|event| event.name).collect(),
        error: span.status.filter(|status| status.code == 2).map(|status| status.message),
    }
}

fn attributes(all: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &KeyValue| match value.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(AnyType::Text(text)) => text.clone(),
        Some(AnyType::Number(number)) => number.to_string(),
        Some(AnyType::Flag(flag)) => flag.to_string(),
        None => String::new(),
    };
    all.iter().map(|value| (value.key.clone(), text(value))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
