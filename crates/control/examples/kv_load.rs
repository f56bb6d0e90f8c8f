//! Load on the key-value store over its public HTTP API, or on etcd over gRPC, from the same program, so that the two can be
//! compared: closed-loop clients, each with one request under way, spread evenly over all servers. One thread, since the
//! servers need the cores. Prints one line of JSON; `make bench-kv` runs it.
//!
//! `kv_load http|etcd fill|put|get CLIENTS CONNECTIONS SECONDS KEYS BYTES ADDRESS...`
//!
//! `fill` writes every key once, `put` and `get` random ones. CONNECTIONS is how many gRPC connections the clients of etcd
//! share; over HTTP each client has its own, kept alive.

use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use std::time::{Duration, Instant};

use etcd_client::{Client, KvClient};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Time for connections to open and caches to warm, before anything is counted.
const WARM_UP: Duration = Duration::from_millis(500);
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(15);
const CHUNK: usize = 4096;

#[derive(Clone, Copy, PartialEq)]
enum Operation {
    Fill,
    Put,
    Get,
}

/// What all clients do.
struct Plan {
    operation: Operation,
    keys: u64,
    value: Vec<u8>,
    /// What begins earlier is not counted.
    from: Instant,
    until: Instant,
    /// The next key of a fill.
    next: Cell<u64>,
}

/// What one client has seen.
#[derive(Default)]
struct Seen {
    times: Vec<Duration>,
    failed: u64,
    /// What the last failure was.
    failure: String,
}

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, run())
}

async fn run() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [system, operation, clients, connections, seconds, keys, bytes, addresses @ ..] = &arguments[..] else {
        return Err("usage: kv_load http|etcd fill|put|get CLIENTS CONNECTIONS SECONDS KEYS BYTES ADDRESS...".into());
    };
    let from = Instant::now() + WARM_UP;
    let plan = Rc::new(Plan {
        operation: match operation.as_str() {
            "fill" => Operation::Fill,
            "put" => Operation::Put,
            "get" => Operation::Get,
            other => return Err(format!("{other} is none of fill, put, get").into()),
        },
        keys: keys.parse()?,
        value: vec![b'x'; bytes.parse()?],
        from,
        until: from + Duration::from_secs_f64(seconds.parse()?),
        next: Cell::new(0),
    });
    let clients: usize = clients.parse()?;
    let (mut tasks, mut shared) = (Vec::new(), Vec::new());
    match system.as_str() {
        "http" => {
            for (client, address) in addresses.iter().cycle().take(clients).enumerate() {
                let store = OverHttp::connect(address).await?;
                tasks.push(tokio::task::spawn_local(one(Rc::clone(&plan), store, client as u64)));
            }
        }
        "etcd" => {
            for address in addresses
                .iter()
                .cycle()
                .take(connections.parse::<usize>()?.max(addresses.len()))
            {
                shared.push(Client::connect([address], None).await?);
            }
            for (client, connection) in shared.iter().cycle().take(clients).enumerate() {
                let store = connection.kv_client();
                tasks.push(tokio::task::spawn_local(one(Rc::clone(&plan), store, client as u64)));
            }
        }
        other => return Err(format!("{other} is neither http nor etcd").into()),
    }
    let mut all = Seen::default();
    for task in tasks {
        let seen = task.await??;
        all.times.extend(seen.times);
        all.failed += seen.failed;
        if seen.failed > 0 {
            all.failure = seen.failure;
        }
    }
    println!("{}", all.report((plan.until - plan.from).as_secs_f64()));
    Ok(())
}

impl Seen {
    fn report(mut self, seconds: f64) -> serde_json::Value {
        self.times.sort_unstable();
        let last = self.times.len().saturating_sub(1);
        let at = |part: f64| {
            self.times
                .get((last as f64 * part) as usize)
                .map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        serde_json::json!({
            "requests": self.times.len(),
            "failed": self.failed,
            "failure": self.failure,
            "rate": self.times.len() as f64 / seconds,
            "p50": at(0.5),
            "p99": at(0.99),
            "p999": at(0.999),
        })
    }
}

/// One client: one request after the other, until it is time to stop.
async fn one<S: Store>(plan: Rc<Plan>, mut store: S, client: u64) -> Outcome<Seen> {
    let mut seen = Seen::default();
    for turn in 0_u64.. {
        let key = match plan.operation {
            Operation::Fill => plan.next.replace(plan.next.get() + 1),
            Operation::Put | Operation::Get => random(client, turn) % plan.keys,
        };
        let begun = Instant::now();
        let over = if plan.operation == Operation::Fill {
            key >= plan.keys
        } else {
            begun >= plan.until
        };
        if over {
            break;
        }
        let key = format!("bench-{key}");
        let call = async {
            match plan.operation {
                Operation::Fill | Operation::Put => store.put(&key, &plan.value).await,
                Operation::Get => match store.get(&key).await? {
                    length if length == plan.value.len() => Ok(()),
                    length => Err(format!("{key} has {length} bytes").into()),
                },
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, call).await.map_err(|_| "no answer")?;
        match outcome {
            Ok(()) if plan.operation == Operation::Fill || begun >= plan.from => seen.times.push(begun.elapsed()),
            Ok(()) => {}
            Err(error) => {
                seen.failed += 1;
                seen.failure = error.to_string();
            }
        }
    }
    Ok(seen)
}

fn random(client: u64, turn: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(&turn.to_le_bytes(), client)
}

/// A way to a store.
trait Store {
    /// Writes; done when acknowledged.
    async fn put(&mut self, key: &str, value: &[u8]) -> Outcome<()>;

    /// Reads, linearizably; how long the value is.
    async fn get(&mut self, key: &str) -> Outcome<usize>;
}

impl Store for KvClient {
    async fn put(&mut self, key: &str, value: &[u8]) -> Outcome<()> {
        KvClient::put(self, key, value, None).await?;
        Ok(())
    }

    async fn get(&mut self, key: &str) -> Outcome<usize> {
        let found = KvClient::get(self, key, None).await?;
        Ok(found.kvs().first().map_or(0, |pair| pair.value().len()))
    }
}

/// One connection, kept alive. As plain as a load generator's HTTP can be: it knows no more than what our servers answer.
struct OverHttp {
    stream: TcpStream,
    host: String,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl OverHttp {
    async fn connect(address: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            host: address.to_owned(),
            outgoing: Vec::new(),
            incoming: Vec::new(),
        })
    }

    /// Sends a request and takes its answer in; how long the body is.
    async fn exchange(&mut self, method: &str, key: &str, body: &[u8]) -> Outcome<usize> {
        let (host, length) = (&self.host, body.len());
        self.outgoing.clear();
        self.outgoing.extend_from_slice(
            format!("{method} /kv/{key} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n").as_bytes(),
        );
        self.outgoing.extend_from_slice(body);
        self.stream.write_all(&self.outgoing).await?;
        self.incoming.clear();
        let (head, status, length) = loop {
            if let Some(end) = self.incoming.windows(4).position(|window| window == b"\r\n\r\n") {
                let (status, length) = parse(std::str::from_utf8(&self.incoming[..end])?)?;
                break (end + 4, status, length);
            }
            self.more().await?;
        };
        while self.incoming.len() < head + length {
            self.more().await?;
        }
        if !(200..300).contains(&status) {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&self.incoming[head..])).into());
        }
        Ok(length)
    }

    async fn more(&mut self) -> Outcome<()> {
        self.incoming.reserve(CHUNK);
        match self.stream.read_buf(&mut self.incoming).await? {
            0 => Err("the connection was closed".into()),
            _ => Ok(()),
        }
    }
}

/// Status and length of the body in the head of an answer.
fn parse(head: &str) -> Outcome<(u16, usize)> {
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .ok_or("an answer without a status")?;
    let mut length = 0;
    for line in lines {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    Ok((status.parse()?, length))
}

impl Store for OverHttp {
    async fn put(&mut self, key: &str, value: &[u8]) -> Outcome<()> {
        self.exchange("PUT", key, value).await?;
        Ok(())
    }

    async fn get(&mut self, key: &str) -> Outcome<usize> {
        self.exchange("GET", key, &[]).await
    }
}
