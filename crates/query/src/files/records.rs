//! Where the records of a text end, told as the decoders of the engine tell it, and before they hold the record.
//!
//! CSV as `csv-core` reads it: a quote opens a field at its beginning and nowhere else, and within quotes two stand for one. JSON as
//! Arrow reads it: a record is a value, whatever lines it takes.

use memchr::{memchr, memchr2, memchr3};

/// Deepest nesting of one value: what readers of JSON commonly allow.
pub(super) const MAX_DEPTH: u32 = 128;

/// What makes a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Fields between these bytes.
    Csv(u8),
    /// Values of JSON.
    Json,
}

/// The end of something that may be a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// Bytes up to and including its last.
    pub(super) bytes: usize,
    /// Whether the decoder makes a row of it, unless it is an empty line.
    pub(super) row: bool,
}

/// A value is nested deeper than [`MAX_DEPTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooDeep;

/// Walks through a text.
#[derive(Debug)]
pub(super) enum Records {
    Csv(Csv),
    Json(Json),
}

impl Records {
    pub(super) const fn of(framing: Framing) -> Self {
        match framing {
            Framing::Csv(delimiter) => Self::Csv(Csv::new(delimiter)),
            Framing::Json => Self::Json(Json {
                depth: 0,
                string: false,
                escaped: false,
            }),
        }
    }

    /// The first end in what comes next; the caller goes on behind it. Without one, all of it is of a record that goes on.
    pub(super) fn next_end(&mut self, text: &[u8]) -> Result<Option<End>, TooDeep> {
        match self {
            Self::Csv(csv) => Ok(csv.next_end(text)),
            Self::Json(json) => json.next_end(text),
        }
    }
}

/// A text of fields.
#[derive(Debug)]
pub(super) struct Csv {
    delimiter: u8,
    quoted: bool,
    /// Right behind a quote that closed: another one would mean that it did not.
    closed: bool,
    /// The byte before, a line break at the start.
    last: u8,
    /// Bytes so far, up to the length of the mark that some texts begin with.
    begun: usize,
}

/// The byte order mark, which the decoder skips.
const MARK: usize = "\u{feff}".len();

impl Csv {
    pub(super) const fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            quoted: false,
            closed: false,
            last: b'\n',
            begun: 0,
        }
    }

    /// Whether a line break stands within quotes in what comes next.
    pub(super) fn breaks_in_quotes(&mut self, text: &[u8]) -> bool {
        let mut rest = text;
        loop {
            if self.quoted {
                let quote = memchr(b'"', rest).unwrap_or(rest.len());
                if memchr(b'\n', &rest[..quote]).is_some() {
                    return true;
                }
            }
            match self.step(rest) {
                Some((passed, _)) => rest = &rest[passed..],
                None => return false,
            }
        }
    }

    fn next_end(&mut self, text: &[u8]) -> Option<End> {
        let mut bytes = 0;
        loop {
            let (passed, end) = self.step(&text[bytes..])?;
            bytes += passed;
            if end {
                // An empty line is no row; the second half of a line break is an empty line.
                return Some(End { bytes, row: true });
            }
        }
    }

    /// Goes behind the next quote or line break outside of quotes, and says which it was.
    fn step(&mut self, text: &[u8]) -> Option<(usize, bool)> {
        let found = match self.quoted {
            true => memchr(b'"', text),
            false => memchr3(b'"', b'\n', b'\r', text),
        };
        let Some(at) = found else {
            if let Some(last) = text.last() {
                self.last = *last;
                self.closed = false;
                self.begun = MARK.min(self.begun + text.len());
            }
            return None;
        };
        let before = if at > 0 { text[at - 1] } else { self.last };
        let first = before == 0xbf && self.begun + at == MARK;
        let again = self.closed && at == 0;
        self.begun = (MARK + 1).min(self.begun + at + 1);
        self.last = text[at];
        self.closed = self.quoted;
        if self.quoted {
            self.quoted = false;
        } else if text[at] == b'"' {
            self.quoted = again || first || before == self.delimiter || matches!(before, b'\n' | b'\r');
        } else {
            return Some((at + 1, true));
        }
        Some((at + 1, false))
    }
}

/// A text of values.
#[derive(Debug)]
pub(super) struct Json {
    depth: u32,
    string: bool,
    escaped: bool,
}

impl Json {
    fn next_end(&mut self, text: &[u8]) -> Result<Option<End>, TooDeep> {
        let mut at = 0;
        while at < text.len() {
            if self.escaped {
                self.escaped = false;
                at += 1;
                continue;
            }
            if self.string {
                let Some(found) = memchr2(b'"', b'\\', &text[at..]) else {
                    break;
                };
                at += found + 1;
                match text[at - 1] {
                    b'"' => self.string = false,
                    _ => self.escaped = true,
                }
                continue;
            }
            at += 1;
            match text[at - 1] {
                b'"' => self.string = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(TooDeep);
                    }
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Ok(Some(End { bytes: at, row: true }));
                    }
                }
                b'\n' if self.depth == 0 => return Ok(Some(End { bytes: at, row: false })),
                _ => {}
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lengths of what lies between two ends, cut into pieces of this size.
    fn lengths(framing: Framing, text: &[u8], piece: usize) -> Vec<usize> {
        let mut records = Records::of(framing);
        let (mut found, mut length) = (Vec::new(), 0);
        for piece in text.chunks(piece) {
            let mut rest = piece;
            while let Some(end) = records.next_end(rest).unwrap() {
                found.push(length + end.bytes);
                (rest, length) = (&rest[end.bytes..], 0);
            }
            length += rest.len();
        }
        found.extend((length > 0).then_some(length));
        found
    }

    #[test]
    fn records_of_csv_end_where_the_decoder_says() {
        for (text, expected) in [
            ("a,b\n1,2\n", &[4, 4][..]),
            ("a\r\nb", &[2, 1, 1]),
            ("\"x\ny\",2\n3\n", &[8, 2]),
            ("5\" pipe,2\n\"a\nb\"\n", &[10, 6]),
            ("\"a\"\"\nb\"\n", &[8]),
            ("\"a\"b\"\n\"\n", &[6, 2]),
            ("\u{feff}\"a\nb\"\nc\n", &[9, 2]),
        ] {
            for piece in 1..=text.len() {
                assert_eq!(
                    lengths(Framing::Csv(b','), text.as_bytes(), piece),
                    expected,
                    "{text:?} by {piece}"
                );
            }
        }
    }

    #[test]
    fn records_of_json_are_values() {
        let text = r#"{"a":"}\"\\"}
{"a":[1,
2]}{}"#;
        for piece in 1..=text.len() {
            assert_eq!(lengths(Framing::Json, text.as_bytes(), piece), [13, 1, 12, 2], "by {piece}");
        }
        let deep = "[".repeat(MAX_DEPTH as usize + 1);
        assert_eq!(Records::of(Framing::Json).next_end(deep.as_bytes()), Err(TooDeep));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        /// One column, so that the decoder takes whatever stands there.
        #[test]
        fn quotes_are_taken_as_the_decoder_takes_them(text in "[ab\"\n]{0,12}") {
            let mut csv = Csv::new(b',');
            let mut rest = text.as_bytes();
            while let Some(end) = csv.next_end(rest) {
                rest = &rest[end.bytes..];
            }
            // A text that ends within quotes swallows a line that is added to it.
            let count = |text: &str| {
                let format = datafusion::arrow::csv::reader::Format::default();
                format.infer_schema(text.as_bytes(), None).map(|(_, rows)| rows).ok()
            };
            let (one, two) = (count(&format!("{text}\nx\n")), count(&format!("{text}\nx\ny\n")));
            if let (Some(one), Some(two)) = (one, two) {
                prop_assert_eq!(one == two, csv.quoted);
            }
        }
    }
}
