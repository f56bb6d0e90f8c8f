//! What the engine says while a seed is replayed, on the simulated clock. `KV_SIM_TRACE=debug` shows what the protocol does.

use std::env;
use std::fmt::{Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::runtime::process_name;

/// Writes down every event.
pub(super) struct Teller {
    most: Level,
    began: tokio::time::Instant,
}

struct Line(String);

impl Teller {
    pub(super) fn new() -> Self {
        let most = env::var("KV_SIM_TRACE").ok().and_then(|level| level.parse().ok());
        Self {
            most: most.unwrap_or(Level::INFO),
            began: tokio::time::Instant::now(),
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _ = if field.name() == "message" {
            write!(self.0, " {value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }
}

impl Subscriber for Teller {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.most
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let time = self.began.elapsed().as_secs_f64();
        eprintln!("{time:>9.3} [{}] {}:{}", process_name(), event.metadata().target(), line.0);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}
