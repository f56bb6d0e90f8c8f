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
