//! Counting the rows of a text as it passes by.

use super::FileFormat;

/// Counts records: lines that hold something, where a line of CSV does not end within quotes.
#[derive(Debug)]
pub(super) struct RowCounter {
    quotes: bool,
    header: bool,
    rows: u64,
    in_quotes: bool,
    filled: bool,
}

impl RowCounter {
    pub(super) const fn of(format: FileFormat) -> Option<Self> {
        let separated = match format {
            FileFormat::Csv | FileFormat::Tsv => true,
            FileFormat::Ndjson => false,
            FileFormat::Parquet => return None,
        };
        Some(Self {
            quotes: separated,
            header: separated,
            rows: 0,
            in_quotes: false,
            filled: false,
        })
    }

    pub(super) fn feed(&mut self, piece: &[u8]) {
        for byte in piece {
            match byte {
                b'\n' if !self.in_quotes => {
                    self.rows += u64::from(self.filled);
                    self.filled = false;
                }
                b'"' if self.quotes => {
                    self.in_quotes = !self.in_quotes;
                    self.filled = true;
                }
                b'\r' => {}
                b' ' | b'\t' if !self.quotes => {}
                _ => self.filled = true,
            }
        }
    }

    pub(super) fn finish(self) -> u64 {
        (self.rows + u64::from(self.filled)).saturating_sub(u64::from(self.header))
    }
}
