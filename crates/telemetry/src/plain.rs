//! Text that cannot pretend to be more than it is.
//!
//! Whatever clients send may end up in a log: keys, paths, names, messages of errors about them. A line break in it would be a line of its
//! own, an escape sequence would be carried out by the terminal of whoever reads it, and a change of direction would show it otherwise than
//! it is. All of these are written as `\n` or `\u{1b}`.

use std::fmt::{self, Write};

use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

/// Whether a character is anything else than a mark on a line.
fn is_odd(character: char) -> bool {
    // Control characters of both sets; separators of lines and paragraphs; marks, overrides and isolates of direction; no-break space of no width.
    character.is_control() && character != '\t'
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Escapes what is written through it.
struct Plain<W>(W);

impl<W: Write> Write for Plain<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_odd) {
            self.0.write_str(&rest[..at])?;
            let odd = rest[at..].chars().next().unwrap_or_default();
            write!(self.0, "{}", odd.escape_default())?;
            rest = &rest[at + odd.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// Fields of log lines as people read them, in which nothing stands out of its line.
pub(crate) fn fields() -> impl for<'writer> FormatFields<'writer> + 'static {
    debug_fn(|writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug| {
        let name = field.name();
        if name != "message" {
            let name = name.strip_prefix("r#").unwrap_or(name);
            match writer.has_ansi_escapes() {
                true => write!(writer, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m")?,
                false => write!(writer, "{name}=")?,
            }
        }
        write!(Plain(writer), "{value:?}")
    })
    .delimited(" ")
}

/// The same for JSON, in whose texts the usual escapes have been made already: what is left becomes `\u001b`.
pub(crate) fn json(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    for character in line.chars() {
        if is_odd(character) || character == '\t' {
            for unit in character.encode_utf16(&mut [0; 2]) {
                plain.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        let mut written = String::new();
        Plain(&mut written).write_str(text).unwrap();
        written
    }

    #[test]
    fn nothing_leaves_its_line_or_moves_a_cursor() {
        assert_eq!(plain("a\nb\r\nc"), "a\\nb\\r\\nc");
        assert_eq!(plain("\u{1b}[2Jx\u{9b}1m\u{7f}\0"), "\\u{1b}[2Jx\\u{9b}1m\\u{7f}\\u{0}");
        assert_eq!(plain("a\u{2028}b\u{202e}c\u{feff}"), "a\\u{2028}b\\u{202e}c\\u{feff}");
        let usual = "Ключ \"grün\" 鍵 \t→ 👍";
        assert_eq!(plain(usual), usual);
    }

    #[test]
    fn escaped_json_reads_as_before() {
        let text = "\u{9b}31m\u{7f}\u{2028}\u{202e}\n\u{1b}\"";
        let line = json(&serde_json::Value::from(text).to_string());
        assert!(line.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{line:?}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }
}
