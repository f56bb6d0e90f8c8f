//! What operators set, by the names that OpenTelemetry has for it.

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use settings::{Secret, Settings};

use super::Sampler;

/// The settings of traces: a group that every service has among its own. Names are as in the environment, in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TraceSettings {
    /// The collector, as in `http://collector:4318`; spans are sent to `/v1/traces` there. None are recorded unless set.
    pub otel_exporter_otlp_endpoint: String,
    /// The whole address that spans are sent to, in place of the one above.
    pub otel_exporter_otlp_traces_endpoint: String,
    /// `http/protobuf`, which is the only one.
    pub otel_exporter_otlp_protocol: String,
    /// Headers for the collector, as in `authorization=Bearer%20KEY`.
    pub otel_exporter_otlp_headers: Secret,
    /// Which requests are recorded: `always_on`, `always_off`, `traceidratio`, or `parentbased_` and one of these.
    pub otel_traces_sampler: String,
    /// The share of requests for `traceidratio`.
    pub otel_traces_sampler_arg: String,
    /// `service.name` of this node's spans; `elasticore-master`, `-auxiliary`, `-worker` unless set.
    pub otel_service_name: String,
}

/// Where spans are sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Destination {
    /// Where it takes traces.
    pub url: String,
    /// What it wants to be told with each request: keys, as a rule.
    pub headers: Vec<(String, String)>,
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Destination").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Settings for TraceSettings {
    fn problems(&self) -> Vec<String> {
        // Without a collector they are for other programs, which may know more samplers and protocols.
        if self.otel_exporter_otlp_endpoint.is_empty() && self.otel_exporter_otlp_traces_endpoint.is_empty() {
            return Vec::new();
        }
        let mut problems: Vec<String> = [self.sampler().err(), self.destination().err()]
            .into_iter()
            .flatten()
            .collect();
        let protocol = self.otel_exporter_otlp_protocol.as_str();
        if !["", "http/protobuf"].contains(&protocol) {
            problems.push(format!(
                "OTEL_EXPORTER_OTLP_PROTOCOL is {protocol:?}; only http/protobuf is spoken here: unset it, and name the collector's port for HTTP \
                 (4318 as a rule, not 4317)"
            ));
        }
        problems
    }
}

impl TraceSettings {
    /// Which requests are recorded.
    ///
    /// # Errors
    /// What is wrong.
    pub fn sampler(&self) -> Result<Sampler, String> {
        Sampler::of(&self.otel_traces_sampler, &self.otel_traces_sampler_arg)
    }

    /// Where spans are sent; none unless set.
    ///
    /// # Errors
    /// What is wrong, without what was written where secrets are.
    pub fn destination(&self) -> Result<Option<Destination>, String> {
        let (variable, url) = match (
            self.otel_exporter_otlp_traces_endpoint.as_str(),
            self.otel_exporter_otlp_endpoint.as_str(),
        ) {
            ("", "") => return Ok(None),
            ("", base) => (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("{}/v1/traces", base.trim_end_matches('/')),
            ),
            (verbatim, _) => ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", verbatim.to_owned()),
        };
        if self.otel_exporter_otlp_traces_endpoint.is_empty() && self.otel_exporter_otlp_endpoint.contains(['?', '#']) {
            return Err(format!(
                "{variable} has a query, behind which /v1/traces is no path: set OTEL_EXPORTER_OTLP_TRACES_ENDPOINT to the whole address"
            ));
        }
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let is_host = |host: &str| {
            !host.is_empty() && !host.starts_with(['/', ':']) && host.chars().all(|letter| letter.is_ascii_graphic())
        };
        if !host.is_some_and(is_host) {
            return Err(format!(
                "{variable} must be an http:// or https:// address, as in http://collector:4318"
            ));
        }
        let headers = headers(self.otel_exporter_otlp_headers.expose())?;
        Ok(Some(Destination { url, headers }))
    }
}

fn headers(text: &str) -> Result<Vec<(String, String)>, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let read = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.trim(), percent_decode_str(value.trim()).decode_utf8().ok()?);
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let is_value = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        (is_name && is_value).then(|| (name.to_ascii_lowercase(), value.into_owned()))
    };
    let wrong = || "OTEL_EXPORTER_OTLP_HEADERS is not of the form NAME=VALUE,NAME=VALUE, with percent-encoded values".to_owned();
    pairs.map(|pair| read(pair).ok_or_else(wrong)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(endpoint: &str, traces_endpoint: &str) -> Option<String> {
        let settings = TraceSettings {
            otel_exporter_otlp_endpoint: endpoint.to_owned(),
            otel_exporter_otlp_traces_endpoint: traces_endpoint.to_owned(),
            ..TraceSettings::default()
        };
        assert_eq!(settings.problems(), Vec::<String>::new());
        settings.destination().unwrap().map(|destination| destination.url)
    }

    #[test]
    fn endpoints_are_those_of_the_specification() {
        assert_eq!(url("", ""), None);
        assert_eq!(url("http://c:4318", "").as_deref(), Some("http://c:4318/v1/traces"));
        assert_eq!(url("https://c/otlp/", "").as_deref(), Some("https://c/otlp/v1/traces"));
        assert_eq!(url("http://c:4318", "https://d/in").as_deref(), Some("https://d/in"));
    }

    #[test]
    fn headers_are_decoded_and_never_shown() {
        let read = headers("Authorization=Basic%20c2VjcmV0, x-scope=a=b,").unwrap();
        let expected = [("authorization", "Basic c2VjcmV0"), ("x-scope", "a=b")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let destination = Destination {
            url: "http://c".to_owned(),
            headers: read,
        };
        assert!(!format!("{destination:?}").contains("c2VjcmV0"));
        for wrong in ["secret", "=secret", "a b=secret", "a=secret%0a"] {
            let error = headers(wrong).unwrap_err();
            assert!(
                error.contains("OTEL_EXPORTER_OTLP_HEADERS") && !error.contains("secret"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_set_for_others_is_nobodys_concern_without_a_collector() {
        let mut settings = TraceSettings {
            otel_exporter_otlp_protocol: "grpc".to_owned(),
            otel_traces_sampler: "jaeger_remote".to_owned(),
            otel_exporter_otlp_headers: Secret::new("none"),
            ..TraceSettings::default()
        };
        assert_eq!(settings.problems(), Vec::<String>::new());
        assert!(settings.destination().unwrap().is_none());
        settings.otel_exporter_otlp_traces_endpoint = "http://c:4318/in?key=1".to_owned();
        assert_eq!(settings.problems().len(), 3);
        let base = TraceSettings {
            otel_exporter_otlp_endpoint: "http://c:4318/in?key=1".to_owned(),
            ..TraceSettings::default()
        };
        let told = base.problems().join("");
        assert!(told.contains("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), "{told}");
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let settings = TraceSettings {
            otel_exporter_otlp_endpoint: "collector:4317".to_owned(),
            otel_exporter_otlp_protocol: "grpc".to_owned(),
            otel_traces_sampler: "sometimes".to_owned(),
            ..TraceSettings::default()
        };
        let problems = settings.problems().join("\n");
        for name in [
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "OTEL_TRACES_SAMPLER",
        ] {
            assert!(problems.contains(name), "{problems}");
        }
    }
}
