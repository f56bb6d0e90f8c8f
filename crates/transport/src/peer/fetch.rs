//! Reading a small file of somebody who is no peer: an address that the operator names.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

/// Reads files from HTTP servers. It sends no secret, and follows no redirect: what was named is what is read.
#[derive(Debug, Clone)]
pub struct Fetcher {
    http: reqwest::Client,
}

impl Fetcher {
    /// Ready to read.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new() -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured(tls::client_of_public_servers())
            .build();
        http.map(|http| Self { http }).map_err(|error| error.to_string())
    }

    /// The file at a URL, of at most so many bytes and within this time.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub async fn get(&self, url: &str, most: usize, within: Duration) -> Result<Bytes, String> {
        let reading = tokio::time::timeout(within, self.read(url, most)).await;
        reading.map_err(|_| format!("no answer within {within:?}"))?
    }

    async fn read(&self, url: &str, most: usize) -> Result<Bytes, String> {
        let words = |error: reqwest::Error| root_cause(&error.without_url());
        let mut response = self.http.get(url).send().await.map_err(words)?;
        if !response.status().is_success() {
            return Err(format!("the answer is {}", response.status()));
        }
        let mut all = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(words)? {
            if all.len() + chunk.len() > most {
                return Err(format!("it has more than {most} bytes"));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
