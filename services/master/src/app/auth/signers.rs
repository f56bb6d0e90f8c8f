//! Where the keys that sign tokens are: a file, or a URL that the operator names.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use access::{KeyHash, Signers};
use transport::peer::Fetcher;

/// Largest set.
const MAX_BYTES: usize = 1 << 20;
/// Longest wait for one.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks at a file.
const FILE_PAUSE: Duration = Duration::from_secs(1);
/// Time between two reads of a URL.
const URL_PAUSE: Duration = Duration::from_secs(120);

/// A source of keys.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file, looked at every second.
    File(PathBuf),
    /// An address, read every two minutes.
    Url(String, Fetcher),
}

impl Source {
    /// As `AUTH_JWKS` names it.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new(text: &str) -> Result<Self, String> {
        Ok(if is_url(text) {
            Self::Url(text.to_owned(), Fetcher::new()?)
        } else {
            Self::File(PathBuf::from(text.strip_prefix("file://").unwrap_or(text)))
        })
    }

    /// The keys, when they are not those that were `known` before.
    pub(super) async fn read(&self, known: &mut Option<KeyHash>) -> Result<Option<Signers>, String> {
        let bytes: bytes::Bytes = match self {
            Self::File(path) => {
                let bytes = tokio::fs::read(path).await.map_err(|error| error.to_string())?;
                if bytes.len() > MAX_BYTES {
                    return Err(format!("it has more than {MAX_BYTES} bytes"));
                }
                bytes.into()
            }
            Self::Url(url, fetcher) => fetcher.get(url, MAX_BYTES, PATIENCE).await?,
        };
        let hash = KeyHash::of(&bytes);
        if known.as_ref() == Some(&hash) {
            return Ok(None);
        }
        let signers = Signers::parse(&bytes).map_err(|error| error.to_string())?;
        *known = Some(hash);
        Ok(Some(signers))
    }

    /// Time until the next read.
    pub(super) const fn pause(&self) -> Duration {
        match self {
            Self::File(_) => FILE_PAUSE,
            Self::Url(..) => URL_PAUSE,
        }
    }
}

/// Whether it names an address and no file.
pub(crate) fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(url, _) => f.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const SET: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    /// A server that answers so, once for each answer.
    async fn server(answers: Vec<String>) -> Source {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                stream.write_all(answer.as_bytes()).await.ok();
            }
        });
        Source::new(&url).unwrap()
    }

    fn answer(head: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    #[tokio::test]
    async fn sets_are_read_from_an_address_and_only_when_they_are_whole_and_right() {
        let elsewhere = "302 Found\r\nLocation: http://127.0.0.1:1/keys";
        let source = server(vec![
            answer("200 OK", SET),
            answer("200 OK", SET),
            answer("500 Internal Server Error", SET),
            answer(elsewhere, ""),
            answer("200 OK", "{}"),
            answer("200 OK", &"x".repeat(MAX_BYTES + 1)),
        ])
        .await;
        let mut known = None;
        assert_eq!(source.read(&mut known).await.unwrap().unwrap().ids(), ["k"]);
        assert!(source.read(&mut known).await.unwrap().is_none(), "nothing is new");
        for said in ["500", "302", "no JSON Web Key Set", "more than"] {
            let error = source.read(&mut known).await.unwrap_err();
            assert!(error.contains(said), "{error:?} does not say {said:?}");
        }
        assert!(source.read(&mut known).await.is_err(), "nobody listens any more");
    }

    #[tokio::test]
    async fn files_are_named_plainly_or_as_urls() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        std::fs::write(&path, SET).unwrap();
        for text in [path.display().to_string(), format!("file://{}", path.display())] {
            let read = Source::new(&text).unwrap().read(&mut None).await.unwrap();
            assert_eq!(read.unwrap().ids(), ["k"], "{text}");
        }
        assert!(Source::new("/nowhere/keys.json").unwrap().read(&mut None).await.is_err());
    }
}
