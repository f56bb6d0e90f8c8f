//! HTTP by hand: from an address of one's own, with headers and bodies that no client would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

/// An answer whose body has not ended.
#[derive(Debug)]
pub(crate) struct Opened {
    head: String,
    _stream: TcpStream,
}

/// Connects from an address of this machine.
pub(crate) async fn connect_from(from: &str, to: &str) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0))?;
    socket.connect(to.parse().unwrap()).await
}

impl Request {
    pub(crate) fn new(method: &'static str, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self
    }

    /// Sends it, and reads all of the answer.
    pub(crate) async fn send(self, from: &str, to: &str) -> Answer {
        let mut stream = self.header("Connection", "close").begin(from, to).await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {answer:?}"));
        Answer {
            status: status(head),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// Sends it, and reads the head of the answer.
    pub(crate) async fn open(self, from: &str, to: &str) -> Opened {
        let mut stream = self.begin(from, to).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        Opened {
            head: String::from_utf8(head).unwrap(),
            _stream: stream,
        }
    }

    async fn begin(self, from: &str, to: &str) -> TcpStream {
        let mut stream = connect_from(from, to).await.unwrap();
        let Self {
            method,
            path,
            headers,
            body,
        } = self;
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

impl Answer {
    /// A header's text; empty when it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }
}

impl Opened {
    pub(crate) fn status(&self) -> u16 {
        status(&self.head)
    }
}

fn status(head: &str) -> u16 {
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no status: {head:?}"))
}
