//! Tables behind HTTP and in S3, where the operator allows the host or bucket; nothing is allowed unless it is named.
//!
//! A query is written by somebody the operator does not know, so a URL in it must not turn a worker into a way into the
//! operator's network. What is reachable is a list of hosts; a host allowed by a pattern never leads to a private address
//! (see [`super::resolver`]), and redirects lead to no other host.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use datafusion::object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::client::{HttpClient, HttpConnector, SpawnService, SpawnedReqwestConnector};
use object_store::http::HttpBuilder;
use object_store::{ClientOptions, RetryConfig};
use reqwest_of_stores as reqwest;
use tokio::runtime::Handle;
use url::{Host, Url};

use super::resolver::{self, Guarded, Trust};
use crate::Error;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence of a server.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// A server that fails is asked again; the task is tried elsewhere after that.
const RETRIES: usize = 3;
const RETRY_TIME: Duration = Duration::from_secs(20);
const MAX_REDIRECTS: usize = 5;

/// What of the network tables may come from.
#[derive(Debug, Default)]
pub struct Remote {
    /// Hosts of `http://` and `https://`: `data.example.com`, `data.example.com:8443`, `*.example.com`, an IP address.
    pub hosts: Vec<String>,
    /// Buckets of `s3://`.
    pub buckets: Vec<String>,
    /// How to reach S3.
    pub s3: S3Settings,
    /// Where connections live: the threads that queries compute on would let them starve. The caller's unless set.
    pub network: Option<Handle>,
}

/// How to reach S3, or what speaks its protocol. What is not set comes from the environment (`AWS_…`).
#[derive(Default)]
pub struct S3Settings {
    /// Address of the service, when it is not Amazon's.
    pub endpoint: Option<String>,
    /// Region of the buckets.
    pub region: Option<String>,
    /// Key id and secret.
    pub credentials: Option<(String, String)>,
}

impl std::fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { endpoint, region, .. } = self;
        f.debug_struct("S3Settings")
            .field("endpoint", endpoint)
            .field("region", region)
            .finish_non_exhaustive()
    }
}

impl Remote {
    /// Whether a URL may be read at all; the error is for the person who wrote the query.
    pub(crate) fn check(&self, url: &Url) -> Result<(), Error> {
        match url.scheme() {
            "http" | "https" => self.trust(url).map(drop),
            "s3" => self.bucket(url).map(drop),
            other => Err(Error::Invalid(format!(
                "{other}: is not a scheme that tables are read from: use file://, http://, https://, s3:// or kv:"
            ))),
        }
    }

    /// The store behind a URL, if that is allowed.
    pub(super) fn open(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, Error> {
        self.check(url)?;
        let failed = |error: object_store::Error| Error::Internal(format!("{url}: {error}"));
        let network = self.network.clone().or_else(|| Handle::try_current().ok());
        let network = network.ok_or_else(|| Error::Internal("no runtime to open connections on".to_owned()))?;
        let retry = RetryConfig {
            max_retries: RETRIES,
            retry_timeout: RETRY_TIME,
            ..RetryConfig::default()
        };
        if url.scheme() == "s3" {
            let mut builder = AmazonS3Builder::from_env()
                .with_bucket_name(self.bucket(url)?)
                .with_retry(retry)
                .with_http_connector(SpawnedReqwestConnector::new(network));
            if let Some(endpoint) = &self.s3.endpoint {
                builder = builder
                    .with_endpoint(endpoint)
                    .with_allow_http(endpoint.starts_with("http://"));
            }
            if let Some(region) = &self.s3.region {
                builder = builder.with_region(region);
            }
            if let Some((id, secret)) = &self.s3.credentials {
                builder = builder.with_access_key_id(id).with_secret_access_key(secret);
            }
            return Ok(Arc::new(builder.build().map_err(failed)?));
        }
        let trust = self.trust(url)?;
        let store = HttpBuilder::new()
            .with_url(&url[..url::Position::BeforePath])
            .with_retry(retry)
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_http_connector(Connector { trust, network })
            .build();
        Ok(Arc::new(store.map_err(failed)?))
    }

    fn bucket(&self, url: &Url) -> Result<String, Error> {
        let bucket = url.host_str().unwrap_or_default();
        if self.buckets.iter().any(|allowed| allowed == bucket) {
            return Ok(bucket.to_owned());
        }
        Err(Error::Forbidden(format!(
            "the bucket {bucket:?} is not one that tables may come from: the operator of the workers can add it to ALLOWED_BUCKETS"
        )))
    }

    fn trust(&self, url: &Url) -> Result<Trust, Error> {
        let host = url.host_str().unwrap_or_default();
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::Invalid(
                "a user name or password in the URL of a table is not allowed".to_owned(),
            ));
        }
        let trust = self.hosts.iter().filter_map(|entry| matches(entry, url)).max();
        let Some(trust) = trust else {
            return Err(Error::Forbidden(format!(
                "the host {host:?} (port {}) is not one that tables may come from: the operator of the workers can add it to \
                 ALLOWED_HOSTS",
                url.port_or_known_default().unwrap_or_default()
            )));
        };
        // Numeric hosts are not looked up, so they are judged here.
        let address: Option<IpAddr> = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            _ => None,
        };
        match address {
            Some(address) if trust == Trust::Pattern && !resolver::is_public(address) => Err(Error::Forbidden(format!(
                "{host} is a private address: tables come from one only where ALLOWED_HOSTS names it"
            ))),
            _ => Ok(trust),
        }
    }
}

/// How far an entry of the list trusts a URL's host. An entry without a port means the scheme's own.
fn matches(entry: &str, url: &Url) -> Option<Trust> {
    let host = url.host_str()?;
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) if !name.ends_with(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port.parse().ok()),
        _ => (entry, None),
    };
    let port_fits = match port {
        Some(port) => url.port_or_known_default() == Some(port),
        None => url.port().is_none(),
    };
    if !port_fits {
        return None;
    }
    match name.strip_prefix('*') {
        Some("") => Some(Trust::Pattern),
        Some(suffix) if suffix.starts_with('.') => {
            let fits = host.len() > suffix.len() && host.to_ascii_lowercase().ends_with(&suffix.to_ascii_lowercase());
            fits.then_some(Trust::Pattern)
        }
        _ => name.eq_ignore_ascii_case(host).then_some(Trust::Named),
    }
}

/// Connects with our resolver and our rule of redirects.
#[derive(Debug)]
struct Connector {
    trust: Trust,
    network: Handle,
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        let redirects = reqwest::redirect::Policy::custom(|attempt| {
            let same = attempt
                .previous()
                .first()
                .is_some_and(|first| first.origin() == attempt.url().origin());
            if !same {
                attempt.error("it redirects to another host, which is not followed: give that URL itself")
            } else if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("it redirects too often")
            } else {
                attempt.follow()
            }
        });
        let client = reqwest::Client::builder()
            .redirect(redirects)
            .dns_resolver(Arc::new(Guarded::new(self.trust)))
            // A proxy would look up names in our place.
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .user_agent("elasticore")
            .build()
            .map_err(|source| object_store::Error::Generic {
                store: "http",
                source: Box::new(source),
            })?;
        Ok(HttpClient::new(SpawnService::new(client, self.network.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entries: &[&str], url: &str) -> bool {
        let remote = Remote {
            hosts: entries.iter().map(|entry| (*entry).to_owned()).collect(),
            buckets: vec!["lake".to_owned()],
            ..Remote::default()
        };
        remote.check(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn nothing_is_allowed_that_is_not_named() {
        for url in [
            "http://example.com/a",
            "https://127.0.0.1/",
            "s3://other/x",
            "ftp://example.com/a",
            "gopher://x/",
        ] {
            assert!(!allowed(&[], url), "{url}");
        }
        assert!(allowed(&[], "s3://lake/x"));
    }

    #[test]
    fn a_host_is_allowed_with_its_port_and_nothing_that_looks_like_it() {
        let list = ["data.example.com", "files.example.com:8443", "*.lake.example", "10.0.0.5"];
        for (url, expected) in [
            ("https://data.example.com/a.csv", true),
            ("http://DATA.example.com/a.csv", true),
            ("https://data.example.com:8443/a.csv", false),
            ("https://files.example.com:8443/a.csv", true),
            ("https://files.example.com/a.csv", false),
            ("https://x.data.example.com/a.csv", false),
            ("https://data.example.com.evil.org/a.csv", false),
            ("https://data.example.com@evil.org/a.csv", false),
            ("https://evil.org#data.example.com", false),
            ("https://user@data.example.com/a.csv", false),
            ("https://a.lake.example/a.csv", true),
            ("https://lake.example/a.csv", false),
            ("https://evillake.example/a.csv", false),
            ("http://10.0.0.5/a.csv", true),
            ("http://0x0a000005/a.csv", true),
            ("http://10.0.0.6/a.csv", false),
        ] {
            assert_eq!(allowed(&list, url), expected, "{url}");
        }
    }

    #[test]
    fn a_pattern_never_means_a_private_address() {
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://169.254.169.254/latest/meta-data",
            "http://192.168.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[fd00::1]/",
            "http://0.0.0.0/",
        ] {
            assert!(!allowed(&["*"], url), "{url}");
        }
        assert!(allowed(&["*"], "http://93.184.216.34/a.csv"));
        assert!(allowed(&["*", "127.0.0.1"], "http://127.0.0.1/"));
    }
}
