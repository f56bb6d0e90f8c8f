//! Bytes on a connection, for requests no polite client would send.

use std::time::Duration;

use api::{ErrorCode, Problem};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::check_problem;

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAnswer {
    /// Its status.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl RawAnswer {
    /// A header; empty when absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(held, _)| held == name)
            .map_or("", |(_, value)| value)
    }

    /// The problem it carries.
    ///
    /// # Errors
    /// What is wrong with it as a problem.
    pub fn problem(&self) -> Result<Problem, String> {
        check_problem(
            self.status,
            self.header("content-type"),
            self.header("x-request-id"),
            &self.body,
        )
        .map_err(|reason| format!("{} {:?}: {reason}", self.status, String::from_utf8_lossy(&self.body)))
    }

    /// Status and code of the problem it carries.
    ///
    /// # Errors
    /// What is wrong with it as a problem.
    pub fn refusal(&self) -> Result<(u16, ErrorCode), String> {
        self.problem().map(|problem| (problem.status, problem.code))
    }
}

/// Opens a connection to `host:port`.
///
/// # Panics
/// When nobody listens.
pub async fn connect(address: &str) -> TcpStream {
    let stream = timeout(Duration::from_secs(10), TcpStream::connect(address)).await;
    stream
        .expect("the listener accepts")
        .unwrap_or_else(|error| panic!("{address}: {error}"))
}

/// Sends bytes on a new connection and reads the first answer; none when the connection is closed without one.
///
/// # Errors
/// When no whole answer comes within `within`.
pub async fn exchange(address: &str, request: &[u8], within: Duration) -> Result<Option<RawAnswer>, String> {
    let mut stream = connect(address).await;
    // A server that has heard enough may close before everything is sent; its answer can be read all the same.
    stream.write_all(request).await.ok();
    answer(&mut stream, within).await
}

/// Reads one answer off a connection; none when it is closed before the first byte.
///
/// # Errors
/// When no whole answer comes within `within`.
pub async fn answer(stream: &mut TcpStream, within: Duration) -> Result<Option<RawAnswer>, String> {
    timeout(within, read(stream))
        .await
        .map_err(|_| format!("no answer within {within:?}"))?
}

async fn read(stream: &mut TcpStream) -> Result<Option<RawAnswer>, String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return Ok(None),
            Err(error) => {
                return Err(format!(
                    "the answer's head ends early ({error}): {:?}",
                    String::from_utf8_lossy(&head)
                ));
            }
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .ok_or_else(|| format!("no status: {head:?}"))?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = RawAnswer {
        status,
        headers,
        body: Vec::new(),
    };
    match answer.header("content-length").parse() {
        Ok(length) => {
            answer.body = vec![0; length];
            stream
                .read_exact(&mut answer.body)
                .await
                .map_err(|error| format!("the body ends early: {error}"))?;
        }
        Err(_) if answer.header("transfer-encoding") == "chunked" => read_chunks(stream, &mut answer.body).await?,
        Err(_) if matches!(status, 100 | 204 | 304) => {}
        // Until the connection is closed.
        Err(_) => drop(stream.read_to_end(&mut answer.body).await),
    }
    Ok(Some(answer))
}

async fn read_chunks(stream: &mut TcpStream, body: &mut Vec<u8>) -> Result<(), String> {
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(
                stream
                    .read_u8()
                    .await
                    .map_err(|error| format!("the body ends early: {error}"))?,
            );
        }
        let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).map_err(|error| error.to_string())?;
        let mut chunk = vec![0; size + 2];
        stream
            .read_exact(&mut chunk)
            .await
            .map_err(|error| format!("the body ends early: {error}"))?;
        if size == 0 {
            return Ok(());
        }
        body.extend_from_slice(&chunk[..size]);
    }
}
