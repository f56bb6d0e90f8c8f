//! What log lines say of the request they are written for.
//!
//! A span would say it too, but a span is made for every request, whether it logs something or not, and costs more than all
//! else that is done around a small request. So it is asked for when a line is written.

use std::fmt;
use std::sync::OnceLock;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::plain;

/// Names and values that belong to the work at hand on this thread; none outside of any.
pub type Context = fn() -> Vec<(&'static str, String)>;

static CONTEXT: OnceLock<Context> = OnceLock::new();

/// Adds to every log line, from now on, what `context` says when the line is written. The first in the process stays, as
/// with [`init_logs`](crate::init_logs): logs belong to the process.
pub fn set_log_context(context: Context) {
    CONTEXT.get_or_init(|| context);
}

/// Writes a line as `format` does, and the context at its end.
pub(crate) struct InContext<F> {
    pub(crate) format: F,
    pub(crate) json: bool,
}

impl<S, N, F> FormatEvent<S, N> for InContext<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, about: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let context = CONTEXT.get().map(|context| context()).unwrap_or_default();
        if context.is_empty() && !self.json {
            return self.format.format_event(about, writer, event);
        }
        let mut line = String::new();
        self.format.format_event(about, Writer::new(&mut line), event)?;
        append(&mut line, &context, self.json);
        match self.json {
            true => {
                let end = line.pop();
                writer.write_str(&plain::json(&line))?;
                end.map_or(Ok(()), |end| writer.write_char(end))
            }
            false => writer.write_str(&line),
        }
    }
}

fn append(line: &mut String, context: &[(&str, String)], json: bool) {
    let end = if json { "}\n" } else { "\n" };
    line.truncate(line.strip_suffix(end).unwrap_or(line).len());
    for (name, value) in context {
        let part = if json {
            format!(",\"{name}\":{}", serde_json::Value::from(value.as_str()))
        } else {
            format!(" {name}={value}")
        };
        line.push_str(&part);
    }
    line.push_str(end);
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn the_context_stands_at_the_end_of_the_line() {
        let context = [("request_id", "a\"b".to_owned()), ("route", "/x".to_owned())];
        let mut text = "INFO here: it happened\n".to_owned();
        append(&mut text, &context, false);
        assert_eq!(text, "INFO here: it happened request_id=a\"b route=/x\n");

        let mut json = "{\"level\":\"INFO\",\"message\":\"it happened\"}\n".to_owned();
        append(&mut json, &context, true);
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["request_id"], "a\"b");
        assert_eq!((&read["route"], &read["message"]), (&"/x".into(), &"it happened".into()));
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_of_a_subscriber_end_with_the_context_and_cannot_be_forged() {
        set_log_context(|| vec![("request_id", "7".to_owned())]);
        let (lines, json) = (Lines::default(), Lines::default());
        let to = |lines: &Lines| {
            let lines = lines.clone();
            move || lines.clone()
        };
        let text_builder = tracing_subscriber::fmt().with_writer(to(&lines)).with_ansi(false);
        let text_builder = text_builder.fmt_fields(plain::fields());
        let text = text_builder.map_event_format(|format| InContext { format, json: false });
        let json_builder = tracing_subscriber::fmt().with_writer(to(&json)).json().flatten_event(true);
        let as_json = json_builder.map_event_format(|format| InContext { format, json: true });
        let key = "k\n2026-01-01T00:00:00Z  INFO master: all is well\u{1b}[2K\u{9b}1A";
        let tell = || {
            tracing::warn!(count = 3, "it happened");
            let _span = tracing::info_span!("task", name = %key).entered();
            tracing::warn!(key, shown = %key, debugged = ?key, "about {key}");
        };
        tracing::subscriber::with_default(text.finish(), tell);
        tracing::subscriber::with_default(as_json.finish(), tell);

        let (text, forged) = split(&lines);
        assert!(
            forged.ends_with(" request_id=7\n") && !forged.trim_end().contains(char::is_control),
            "{forged:?}"
        );
        assert_eq!(forged.matches("all is well\\u{1b}[2K\\u{9b}1A").count(), 5, "{forged:?}");
        assert!(text.ends_with("it happened count=3 request_id=7\n"), "{text:?}");
        let (text, forged) = split(&json);
        assert!(!forged.trim_end().contains(char::is_control), "{forged:?}");
        let read: serde_json::Value = serde_json::from_str(&forged).unwrap();
        assert_eq!(
            (&read["key"], &read["message"]),
            (&key.into(), &format!("about {key}").into())
        );
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&read["request_id"], &read["count"]), (&"7".into(), &3.into()));
    }

    /// Both lines, of which there must be no more.
    fn split(lines: &Lines) -> (String, String) {
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let both: Vec<&str> = text.split_inclusive('\n').collect();
        let [first, second] = both[..] else { panic!("{text:?}") };
        (first.to_owned(), second.to_owned())
    }
}
