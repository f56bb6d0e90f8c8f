//! The answer of a peer.

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;

use super::PeerError;

/// An answer below 400; its body is still to be read.
#[derive(Debug)]
pub struct PeerResponse {
    peer: String,
    response: reqwest::Response,
}

impl PeerResponse {
    pub(super) fn new(peer: &str, response: reqwest::Response) -> Self {
        Self {
            peer: peer.to_owned(),
            response,
        }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The whole body.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn bytes(self) -> Result<Bytes, PeerError> {
        let Self { peer, response } = self;
        response.bytes().await.map_err(|error| PeerError::NoAnswer {
            peer,
            detail: error.to_string(),
        })
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When the connection breaks or the body is something else.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, PeerError> {
        let peer = self.peer.clone();
        let body = self.bytes().await?;
        serde_json::from_slice(&body).map_err(|error| PeerError::Malformed {
            peer,
            detail: error.to_string(),
        })
    }

    /// The body as it comes.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes, PeerError>> + Send + 'static {
        let Self { peer, response } = self;
        response.bytes_stream().map_err(move |error| PeerError::NoAnswer {
            peer: peer.clone(),
            detail: error.to_string(),
        })
    }
}
