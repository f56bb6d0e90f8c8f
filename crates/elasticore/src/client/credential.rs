//! What is shown to servers that want to know who asks.

use std::fmt;
use std::str::FromStr;

use reqwest::header::HeaderValue;

/// An API key, a token, or the root key; or nothing, when a variable is set and empty. It is never printed.
#[derive(Clone)]
pub(crate) struct Credential(Option<HeaderValue>);

impl Credential {
    /// As the value of `Authorization`.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        self.0.clone()
    }
}

impl FromStr for Credential {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self(None));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a key is one word of visible ASCII characters".to_owned());
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {text}")).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sent_and_never_shown() {
        let credential: Credential = " eck_0123_secret\n".parse().unwrap();
        assert_eq!(credential.header().unwrap(), "Bearer eck_0123_secret");
        assert_eq!("".parse::<Credential>().unwrap().header(), None);
        assert!(!format!("{credential:?} {:?}", credential.header()).contains("secret"));
        for wrong in ["two words", "é", "a\nb"] {
            assert!(wrong.parse::<Credential>().is_err(), "{wrong:?}");
        }
    }
}
