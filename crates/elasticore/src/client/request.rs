//! Requests, before they are sent.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio::io::AsyncReadExt;

use super::Endpoint;

/// Bytes of a file read at once.
const PIECE: usize = 256 * 1024;
/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as one percent-encoded path segment, or as the name or value of a query parameter.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A request to any of the addresses.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Body,
}

/// What is sent along.
#[derive(Debug, Clone)]
enum Body {
    Nothing,
    Bytes(Bytes),
    File(Upload),
}

/// A file on its way, and how much of it has gone.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    path: PathBuf,
    bytes: u64,
    sent: Arc<AtomicU64>,
}

impl Upload {
    /// Of this file.
    ///
    /// # Errors
    /// When it cannot be found.
    pub(crate) fn of(path: &Path) -> std::io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            bytes: std::fs::metadata(path)?.len(),
            sent: Arc::default(),
        })
    }

    /// Its size.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How much of it has been taken.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// From its beginning.
    fn body(&self) -> reqwest::Body {
        let (path, sent) = (self.path.clone(), Arc::clone(&self.sent));
        sent.store(0, Ordering::Relaxed);
        let pieces = futures::stream::once(async move { tokio::fs::File::open(path).await })
            .map_ok(|file| futures::stream::try_unfold(file, read))
            .try_flatten()
            .inspect_ok(move |piece: &Bytes| {
                sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
            });
        reqwest::Body::wrap_stream(pieces)
    }
}

/// The next piece of a file.
async fn read(mut file: tokio::fs::File) -> std::io::Result<Option<(Bytes, tokio::fs::File)>> {
    let mut piece = BytesMut::with_capacity(PIECE);
    let read = file.read_buf(&mut piece).await?;
    Ok((read > 0).then(|| (piece.freeze(), file)))
}

impl Request {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::Nothing,
        }
    }

    /// A `GET` of a path that is already percent-encoded.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// A `PUT`.
    pub(crate) fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    /// A `POST`.
    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// A `DELETE`.
    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Adds a query parameter, when there is one.
    pub(crate) fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// Adds a header, when there is one.
    pub(crate) fn header(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.headers.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// Sends raw bytes.
    pub(crate) fn body(mut self, bytes: Bytes) -> Self {
        self.body = Body::Bytes(bytes);
        self
    }

    /// Sends a file, which may take as long as it is large.
    pub(crate) fn file(mut self, file: Upload) -> Self {
        self.body = Body::File(file);
        self
    }

    /// Whether it is bounded by the progress of what is sent.
    pub(super) const fn upload(&self) -> Option<&Upload> {
        match &self.body {
            Body::File(upload) => Some(upload),
            _ => None,
        }
    }

    /// Sends JSON.
    pub(crate) fn json(self, value: &impl serde::Serialize) -> serde_json::Result<Self> {
        Ok(self
            .header(CONTENT_TYPE.as_str(), Some("application/json"))
            .body(serde_json::to_vec(value)?.into()))
    }

    /// Whether sending it twice cannot do anything twice.
    pub(super) fn only_reads(&self) -> bool {
        self.method == Method::GET
    }

    pub(super) const fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn url(&self, endpoint: &Endpoint) -> String {
        let mut url = format!("{endpoint}{}", self.path);
        for (at, (name, value)) in self.query.iter().enumerate() {
            url.push(if at == 0 { '?' } else { '&' });
            url.push_str(&format!("{name}={}", segment(value)));
        }
        url
    }

    pub(super) fn build(&self, http: &reqwest::Client, url: &str) -> reqwest::RequestBuilder {
        let mut builder = http.request(self.method.clone(), url);
        for (name, value) in &self.headers {
            builder = builder.header(*name, value);
        }
        match &self.body {
            Body::Nothing => builder,
            Body::Bytes(body) => builder.body(body.clone()),
            Body::File(file) => builder.header(CONTENT_LENGTH, file.bytes).body(file.body()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_percent_encoded_once() {
        let endpoint: Endpoint = "http://h:1/base/".parse().unwrap();
        let request = Request::get(format!("/kv/{}", segment("a/b c&d?é%")))
            .query("ttl", Some("5 m&x"))
            .query("none", None::<u64>)
            .query("n", Some(7));
        assert_eq!(
            request.url(&endpoint),
            "http://h:1/base/kv/a%2Fb%20c%26d%3F%C3%A9%25?ttl=5%20m%26x&n=7"
        );
    }
}
