//! Tables: drawn for people, tab-separated for programs.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Attribute, CellAlignment, Color, ContentArrangement};

/// Width below which a terminal's word is not taken for its width.
const NARROW: u16 = 20;

/// What a cell's colour says; never the only thing that says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tint {
    /// As it should be.
    Good,
    /// Under way.
    Busy,
    /// Not as it should be.
    Bad,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tint: Option<Tint>,
}

impl Cell {
    /// A coloured cell.
    pub(crate) fn tinted(text: impl ToString, tint: Tint) -> Self {
        Self {
            text: text.to_string(),
            tint: Some(tint),
        }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.to_string(),
            tint: None,
        }
    }
}

/// Rows under named columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    columns: Vec<String>,
    right: Vec<bool>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table. A column whose name begins with `>` is aligned to the right.
    pub(crate) fn new<S: AsRef<str>>(columns: impl IntoIterator<Item = S>) -> Self {
        let columns: Vec<(String, bool)> = columns
            .into_iter()
            .map(|name| match name.as_ref().strip_prefix('>') {
                Some(name) => (name.to_owned(), true),
                None => (name.as_ref().to_owned(), false),
            })
            .collect();
        let right = columns.iter().map(|(_, right)| *right).collect();
        Self {
            columns: columns.into_iter().map(|(name, _)| name).collect(),
            right,
            rows: Vec::new(),
        }
    }

    /// A table of a query's result: names are taken as they are.
    pub(crate) fn of_result(columns: Vec<String>, right: Vec<bool>) -> Self {
        Self {
            columns,
            right,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// How many rows there are.
    pub(crate) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Drops the rows, keeps the columns.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }

    /// Drawn with lines, as wide as the terminal or `width`.
    pub(crate) fn drawn(&self, width: Option<u16>, color: bool) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_style(UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic);
        table.style_mut().row_separator = comfy_table::LineStyle::none();
        if color {
            table.enforce_styling();
        }
        if let Some(width) = width {
            table.set_width(width);
        } else if table.width().is_some_and(|width| width < NARROW) {
            // A terminal that does not know its width says 0; so narrow a table could not be read anyway.
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        let header = |name: &String| {
            let cell = comfy_table::Cell::new(printable(name));
            if color { cell.add_attribute(Attribute::Bold) } else { cell }
        };
        table.set_header(self.columns.iter().map(header));
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| draw(cell, color)));
        }
        for (column, right) in table.column_iter_mut().zip(&self.right) {
            if *right {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut text = table.trim_fmt();
        text.push('\n');
        text
    }

    /// A header line and a line a row, tab-separated.
    pub(crate) fn plain(&self) -> String {
        let mut text = line(self.columns.iter().map(String::as_str));
        text.push_str(&self.plain_rows());
        text
    }

    /// A line a row, tab-separated.
    pub(crate) fn plain_rows(&self) -> String {
        self.rows
            .iter()
            .map(|row| line(row.iter().map(|cell| cell.text.as_str())))
            .collect()
    }
}

fn draw(cell: &Cell, color: bool) -> comfy_table::Cell {
    let drawn = comfy_table::Cell::new(printable(&cell.text));
    match cell.tint.filter(|_| color) {
        Some(Tint::Good) => drawn.fg(Color::Green),
        Some(Tint::Busy) => drawn.fg(Color::Yellow),
        Some(Tint::Bad) => drawn.fg(Color::Red),
        None => drawn,
    }
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let mut text = cells.map(printable).collect::<Vec<_>>().join("\t");
    text.push('\n');
    text
}

/// A text in which no byte moves the cursor, ends a line or begins another cell: control characters are written as escapes.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Table {
        let mut table = Table::new(["key", ">revision", "state"]);
        table.row([Cell::from("a"), Cell::from(7), Cell::tinted("live", Tint::Good)]);
        table.row([Cell::from("tab\there"), Cell::from(12345), Cell::tinted("gone", Tint::Bad)]);
        table
    }

    #[test]
    fn drawn_table_aligns_and_frames() {
        let drawn = example().drawn(Some(60), false);
        let shape: Vec<&str> = drawn.lines().map(str::trim_end).collect();
        assert_eq!(shape[1].split_whitespace().collect::<Vec<_>>(), ["key", "revision", "state"]);
        let seven = shape[3].find('7').unwrap();
        let five = shape[4].find("12345").unwrap() + 4;
        assert_eq!(seven, five, "numbers are aligned to the right:\n{drawn}");
        assert!(!drawn.contains('\x1b'), "no colour was asked for");
    }

    #[test]
    fn colour_only_when_asked_for() {
        assert!(example().drawn(Some(60), true).contains("\x1b["));
    }

    #[test]
    fn plain_table_is_one_line_a_row() {
        assert_eq!(
            example().plain(),
            "key\trevision\tstate\na\t7\tlive\ntab\\there\t12345\tgone\n"
        );
    }

    #[test]
    fn long_cells_wrap_within_the_width() {
        let mut table = Table::new(["key", "value"]);
        table.row([
            "k",
            "a long text of many words that does not fit in one line of so narrow a terminal",
        ]);
        assert!(table.drawn(Some(40), false).lines().all(|line| line.chars().count() <= 40));
    }

    #[test]
    fn values_cannot_drive_the_terminal() {
        assert_eq!(printable("\u{1b}[2Jgone\r\nü"), "\\u{1b}[2Jgone\\r\\nü");
    }
}
