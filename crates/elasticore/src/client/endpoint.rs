//! The address of a public API.

use std::fmt;
use std::str::FromStr;

/// `http://host:port` or `https://host:port`, with a path when the API lives under one, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(String);

/// Where the API is in the one-process stack and behind the load balancer of the Compose file.
pub(crate) const DEFAULT: &str = "http://127.0.0.1:8081";

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (scheme, address) = match text.split_once("://") {
            Some((scheme @ ("http" | "https"), address)) => (scheme, address),
            Some((scheme, _)) => {
                return Err(format!(
                    "{scheme}:// is not spoken here; write http://host:port or https://host:port"
                ));
            }
            None => ("http", text),
        };
        let url = format!("{scheme}://{}", address.trim_end_matches('/'));
        let parsed = reqwest::Url::parse(&url).map_err(|error| format!("{error}; write http://host:port"))?;
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err("an address has no ? or #; write http://host:port".to_owned());
        }
        Ok(Self(url))
    }
}

impl Endpoint {
    /// Whether TLS is spoken there.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_may_be_left_out_and_a_slash_at_the_end_is_dropped() {
        for text in ["127.0.0.1:8081", "http://127.0.0.1:8081/", " http://127.0.0.1:8081 "] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), "http://127.0.0.1:8081");
        }
        let encrypted: Endpoint = "https://a:8443/".parse().unwrap();
        assert_eq!(
            (encrypted.to_string().as_str(), encrypted.is_encrypted()),
            ("https://a:8443", true)
        );
    }

    #[test]
    fn other_schemes_and_nonsense_are_refused() {
        for text in ["", "http://", "https://", "ftp://a", "http://a:b", "http://a/?x=1"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
