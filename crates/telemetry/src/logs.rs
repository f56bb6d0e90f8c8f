//! Structured logs on standard error.

use std::io::IsTerminal;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::context::InContext;
use crate::plain;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;
    fn from_str(value: &str) -> Result<Self, String> {
        match value {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("{other:?} is no log format; use text or json")),
        }
    }
}

/// Sends events to standard error. `RUST_LOG` filters as usual; `default` applies when it is absent. A second call in
/// the same process changes nothing: logs belong to the process, not to a node.
pub fn init_logs(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let already_set = match format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal();
            let builder = builder
                .with_ansi(colours)
                .fmt_fields(plain::fields())
                .map_event_format(|format| InContext {
                    format: format.with_ansi(colours),
                    json: false,
                });
            builder.finish().try_init()
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true);
            let builder = builder.map_event_format(|format| InContext { format, json: true });
            builder.finish().try_init()
        }
    };
    drop(already_set);
}
