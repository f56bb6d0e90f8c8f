//! How requests are traced.

use telemetry::traces::TraceOptions;

use super::Settings;

impl Settings {
    /// How requests are traced.
    pub(crate) fn traces(&self) -> TraceOptions<'_> {
        TraceOptions {
            endpoint: &self.otel_exporter_otlp_endpoint,
            traces_endpoint: &self.otel_exporter_otlp_traces_endpoint,
            protocol: &self.otel_exporter_otlp_protocol,
            headers: self.otel_exporter_otlp_headers.expose(),
            sampler: &self.otel_traces_sampler,
            sampler_arg: &self.otel_traces_sampler_arg,
            service_name: &self.otel_service_name,
        }
    }
}
