//! Traces of a stack in one process: the same variables of the environment as everywhere, each node under its own name.

use serde::{Deserialize, Serialize};
use settings::{Problems, Secret, Sources};
use telemetry::traces::TraceOptions;

/// Where all nodes send their spans, and which.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TraceSettings {
    pub(super) otel_exporter_otlp_endpoint: String,
    pub(super) otel_exporter_otlp_traces_endpoint: String,
    pub(super) otel_exporter_otlp_protocol: String,
    pub(super) otel_exporter_otlp_headers: Secret,
    pub(super) otel_traces_sampler: String,
    pub(super) otel_traces_sampler_arg: String,
}

impl TraceSettings {
    /// Out of the environment of this process.
    ///
    /// # Errors
    /// What is wrong there.
    pub(super) fn of_process() -> Result<Self, Problems> {
        settings::load(&Sources {
            environment: std::env::vars().collect(),
            ..Sources::default()
        })
    }
}

impl settings::Settings for TraceSettings {
    fn problems(&self) -> Vec<String> {
        let options = TraceOptions {
            endpoint: &self.otel_exporter_otlp_endpoint,
            traces_endpoint: &self.otel_exporter_otlp_traces_endpoint,
            protocol: &self.otel_exporter_otlp_protocol,
            headers: self.otel_exporter_otlp_headers.expose(),
            sampler: &self.otel_traces_sampler,
            sampler_arg: &self.otel_traces_sampler_arg,
            service_name: "",
        };
        options.problems()
    }
}

/// A node's settings with these among them: all services call them alike.
macro_rules! with_traces {
    ($traces:expr, $settings:expr) => {{
        let (traces, mut settings) = ($traces.clone(), $settings);
        settings.otel_exporter_otlp_endpoint = traces.otel_exporter_otlp_endpoint;
        settings.otel_exporter_otlp_traces_endpoint = traces.otel_exporter_otlp_traces_endpoint;
        settings.otel_exporter_otlp_protocol = traces.otel_exporter_otlp_protocol;
        settings.otel_exporter_otlp_headers = traces.otel_exporter_otlp_headers;
        settings.otel_traces_sampler = traces.otel_traces_sampler;
        settings.otel_traces_sampler_arg = traces.otel_traces_sampler_arg;
        settings
    }};
}

pub(super) use with_traces;
