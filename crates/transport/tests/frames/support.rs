//! A node that answers frames, and a peer that does what a test tells it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api::{BootId, Epoch};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use transport::frames::{Call, FrameClient, FrameHandler, FrameMetrics, PATH, frames_route};
use transport::peer::{BreakerPolicy, PeerClient, PeerError, PeerPolicy};
use transport::server::{HttpMetrics, Layers, bind, serve};
use transport::{ApiError, RequestId, Traced};

pub(crate) const TOKEN: &str = "secret";
/// Far longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// Largest body a node here takes.
pub(crate) const MAX_BODY: usize = 64 << 20;

/// Gives the body back.
pub(crate) const ECHO: u8 = 1;
/// Gives the body back once it may.
pub(crate) const HELD: u8 = 2;
/// Refuses.
pub(crate) const REFUSED: u8 = 3;
/// Panics.
pub(crate) const PANIC: u8 = 4;
/// Gives back what came in the head.
pub(crate) const HEAD: u8 = 5;
/// Gives back the place in a trace.
pub(crate) const TRACE: u8 = 6;

pub(crate) fn call(kind: u8) -> Call {
    Call {
        kind,
        epoch: Epoch(7),
        boot_id: BootId::from_bytes([9; 16]),
    }
}

/// A node; it stops when it is dropped.
pub(crate) struct Node {
    pub(crate) address: String,
    pub(crate) stop: CancellationToken,
    /// One permit lets one held call go on.
    pub(crate) gate: Arc<Semaphore>,
    /// A message for each held call that began to wait.
    pub(crate) held: mpsc::UnboundedReceiver<()>,
    pub(crate) registry: telemetry::Registry,
    pub(crate) serving: Option<JoinHandle<()>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let (gate, (waits, held)) = (Arc::new(Semaphore::new(0)), mpsc::unbounded_channel());
        let (registry, stop) = (telemetry::new_registry(), CancellationToken::new());
        let handler = Arc::new(Handler {
            gate: Arc::clone(&gate),
            waits,
        });
        let layers = Layers::new(HttpMetrics::new(&registry), LONG, 1024, 2).private(TOKEN);
        let router = layers.around(frames_route(
            PATH,
            handler,
            FrameMetrics::new(&registry),
            MAX_BODY,
            stop.clone(),
        ));
        let listener = bind(address, "PORT").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let serving = Some(tokio::spawn(serve(listener, router, stop.clone())));
        Self {
            address,
            stop,
            gate,
            held,
            registry,
            serving,
        }
    }

    /// How many connections of frames were made.
    pub(crate) fn connections(&self) -> u64 {
        let name = r#"http_requests_total{method="POST",route="/internal/v1/frames",status="101"} "#;
        let metrics = telemetry::render(&self.registry);
        let count = metrics.lines().find_map(|line| line.strip_prefix(name));
        count.map_or(0, |count| count.parse().expect("a number"))
    }
}

struct Handler {
    gate: Arc<Semaphore>,
    waits: mpsc::UnboundedSender<()>,
}

#[async_trait]
impl FrameHandler for Handler {
    async fn handle(&self, call: Call, body: Bytes) -> Result<Bytes, ApiError> {
        match call.kind {
            ECHO => Ok(body),
            HELD => {
                self.waits.send(()).expect("the node lives");
                self.gate.acquire().await.expect("never closed").forget();
                Ok(body)
            }
            REFUSED => Err(ApiError::new(api::ErrorCode::Conflict, "another epoch")),
            HEAD => {
                let request = RequestId::current().map_or_else(|| "none".to_owned(), |id| id.to_string());
                Ok(format!("{} {} {request}", call.epoch, call.boot_id).into())
            }
            TRACE => {
                let trace = Traced::current().map_or_else(|| "none".to_owned(), |traced| traced.context().to_string());
                Ok(trace.into())
            }
            _ => panic!("on purpose"),
        }
    }

    fn name(&self, kind: u8) -> &'static str {
        match kind {
            ECHO => "echo",
            HELD => "held",
            REFUSED => "refused",
            _ => "other",
        }
    }
}

pub(crate) fn client(token: &str) -> FrameClient {
    client_with(token, BreakerPolicy::default())
}

pub(crate) fn client_with(token: &str, breaker: BreakerPolicy) -> FrameClient {
    let policy = PeerPolicy {
        breaker,
        connect_timeout: Duration::from_secs(2),
        ..PeerPolicy::default()
    };
    FrameClient::new(PeerClient::new(token, policy, &telemetry::new_registry()))
}

/// Listens as a peer that does only what the test does.
pub(crate) async fn puppet() -> (TcpListener, String) {
    let socket = TcpSocket::new_v4().expect("a socket");
    // Fixed, so that a peer that reads nothing is full soon, whatever the system would let the buffer grow to.
    socket.set_recv_buffer_size(64 << 10).expect("a small buffer");
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
    let listener = socket.listen(16).expect("it is bound");
    let address = listener.local_addr().expect("bound").to_string();
    (listener, address)
}

/// A client that is connected to a puppet, by a call that was answered.
pub(crate) async fn connected(client: FrameClient) -> (Caller, TcpListener, TcpStream) {
    let (listener, address) = puppet().await;
    let caller = Caller { client, address };
    let (answer, peer) = tokio::join!(caller.call(b"", LONG), async {
        let mut peer = agree(&listener).await;
        let (id, _) = read_call(&mut peer).await;
        write_answer(&mut peer, id, 0, b"").await;
        peer
    });
    answer.expect("it is answered");
    (caller, listener, peer)
}

/// A client and whom it calls.
#[derive(Clone)]
pub(crate) struct Caller {
    client: FrameClient,
    address: String,
}

impl Caller {
    pub(crate) async fn call(&self, body: &'static [u8], deadline: Duration) -> Result<Bytes, PeerError> {
        let body = Bytes::from_static(body);
        self.client.call(&self.address, call(ECHO), body, deadline).await
    }

    /// Calls while the test does something else.
    pub(crate) fn begin(&self, body: Bytes, deadline: Duration) -> JoinHandle<Result<Bytes, PeerError>> {
        let caller = self.clone();
        tokio::spawn(async move { caller.client.call(&caller.address, call(ECHO), body, deadline).await })
    }
}

/// Accepts a connection and agrees to speak frames.
pub(crate) async fn agree(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.expect("somebody connects");
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.expect("a request"));
    }
    let agreed = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: elasticore-frames/1\r\n\r\n";
    stream.write_all(agreed.as_bytes()).await.expect("it listens");
    stream
}

/// Reads a call: its id and what follows.
pub(crate) async fn read_call(stream: &mut TcpStream) -> (u32, Vec<u8>) {
    let length = stream.read_u32_le().await.expect("a call") as usize;
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await.expect("a whole call");
    let (id, rest) = rest.split_first_chunk().expect("an id");
    (u32::from_le_bytes(*id), rest.to_vec())
}

/// Writes an answer.
pub(crate) async fn write_answer(stream: &mut TcpStream, id: u32, status: u8, body: &[u8]) {
    let length = u32::try_from(5 + body.len()).expect("short");
    let mut frame = length.to_le_bytes().to_vec();
    frame.extend_from_slice(&id.to_le_bytes());
    frame.push(status);
    frame.extend_from_slice(body);
    stream.write_all(&frame).await.expect("it listens");
}
