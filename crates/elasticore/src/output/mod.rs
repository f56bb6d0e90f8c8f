//! What goes to standard output, and how: for a person at a terminal, for a pipe, or as the API's JSON.

mod bar;
mod row;
mod sink;
mod table;

use std::io::{self, BufWriter, IsTerminal, Write};

pub(crate) use bar::Bar;
pub(crate) use row::fields;
pub(crate) use sink::Sink;
pub(crate) use table::{Cell, Table, Tint, printable};

use crate::args::{GlobalArgs, OutputFormat};

/// Standard output of this process.
pub(crate) struct Output {
    out: BufWriter<Box<dyn Write>>,
    format: OutputFormat,
    for_people: bool,
    color: bool,
    messages_in_color: bool,
}

impl Output {
    /// As the global flags and the terminal say.
    pub(crate) fn of_process(global: &GlobalArgs) -> Self {
        let for_people = io::stdout().is_terminal();
        let wanted = !global.no_color && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            out: BufWriter::new(Box::new(io::stdout())),
            format: global.output,
            for_people,
            color: wanted && for_people,
            messages_in_color: wanted && io::stderr().is_terminal(),
        }
    }

    /// Whether the API's JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.format == OutputFormat::Json
    }

    /// Whether a person looks at standard output.
    pub(crate) const fn is_for_people(&self) -> bool {
        self.for_people
    }

    /// Whether messages may be coloured.
    pub(crate) const fn has_color(&self) -> bool {
        self.messages_in_color
    }

    /// One line of text.
    pub(crate) fn line(&mut self, text: impl std::fmt::Display) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// JSON as the API sent it, and a line end.
    pub(crate) fn json(&mut self, body: &[u8]) -> io::Result<()> {
        self.out.write_all(body)?;
        if body.ends_with(b"\n") {
            Ok(())
        } else {
            self.out.write_all(b"\n")
        }
    }

    /// A table: drawn for people, tab-separated lines for a pipe.
    pub(crate) fn table(&mut self, table: &Table) -> io::Result<()> {
        let text = if self.for_people {
            table.drawn(None, self.color)
        } else {
            table.plain()
        };
        self.out.write_all(text.as_bytes())
    }

    /// Sends what is held back.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Tells a person on standard error why the command failed, in one line.
    pub(crate) fn complain(&self, error: &anyhow::Error) {
        let (red, plain) = if self.messages_in_color {
            ("\x1b[1;31m", "\x1b[0m")
        } else {
            ("", "")
        };
        eprintln!("{red}elasticore:{plain} {}", one_line(error));
    }
}

/// An error and its causes as one line. Messages that lists stand in (one line each) keep their lines.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // Some libraries repeat their cause in their own message.
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let error = anyhow::anyhow!("no space left")
            .context("cannot write x: no space left")
            .context("cannot start");
        assert_eq!(one_line(&error), "cannot start: cannot write x: no space left");
    }
}
