//! What a node needs to take part in traces: something that records, and something that sends what was recorded.

use lifecycle::Tasks;
use parking_lot::Mutex;
use telemetry::Registry;
use telemetry::traces::{SpanCounts, TraceSettings, Tracer};

use crate::peer::SpanExporter;

/// The version that spans tell; all crates have the same.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Traces of one node.
#[derive(Debug, Default)]
pub struct Traces {
    /// Records nothing unless there is a collector.
    pub tracer: Tracer,
    exporter: Option<SpanExporter>,
}

impl Traces {
    /// By the operator's settings; `service` and `instance` tell the node from others, as in `elasticore-master` and `master-1`.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn open(settings: &TraceSettings, service: &str, instance: &str, registry: &Registry) -> Result<Self, String> {
        let Some(destination) = settings.destination()? else {
            return Ok(Self::default());
        };
        let sampler = settings.sampler()?;
        let service = match settings.otel_service_name.as_str() {
            "" => service,
            name => name,
        };
        let resource = [
            ("service.name", service),
            ("service.instance.id", instance),
            ("service.version", VERSION),
        ];
        let resource = resource.map(|(name, value)| (name, value.to_owned())).to_vec();
        let (tracer, queue) = Tracer::new(sampler, SpanCounts::new(registry));
        let exporter = Some(SpanExporter::new(destination, resource, VERSION, queue)?);
        Ok(Self { tracer, exporter })
    }

    /// Sends in the background, until the node stops.
    pub fn export(self, tasks: &Tasks) -> Tracer {
        if let Some(exporter) = self.exporter {
            // Taken by the first start: spans that it had when it panicked are lost.
            let exporter = Mutex::new(Some(exporter));
            tasks.supervise("trace-export", move |stop| {
                let exporter = exporter.lock().take();
                async move {
                    if let Some(exporter) = exporter {
                        exporter.run(stop).await;
                    }
                }
            });
        }
        self.tracer
    }
}
