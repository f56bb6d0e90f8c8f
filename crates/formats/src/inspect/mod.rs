//! Files on their way in: what their columns are, how many rows they have, and whether they are what they claim to be.
//!
//! Files of any size pass by here once, in pieces, and at most [`SAMPLE`] bytes of them are kept. The rows of a text are counted
//! when that is exact: not in compressed ones. A Parquet file says all of it in its footer, which is read afterwards, by ranges.

mod kind;
mod parquet;
mod rows;
mod sample;

use arrow::datatypes::{DataType, Schema};

pub use kind::{Compression, FileFormat, FileKind};
pub use parquet::{FOOTER_BYTES, Footer};

use rows::RowCounter;

/// Bytes of a text from which its columns are told.
pub const SAMPLE: usize = 1 << 20;
/// What every Parquet file begins with.
const PARQUET_MAGIC: &[u8; 4] = b"PAR1";

/// A file is not what it claims to be; the text says what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotThat(pub String);

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its Arrow type as text.
    pub data_type: String,
    /// Whether nulls may occur.
    pub nullable: bool,
}

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Its columns.
    pub fields: Vec<Field>,
    /// How many rows it has, where that is known exactly.
    pub rows: Option<u64>,
}

/// Looks at a file as it passes by.
#[derive(Debug)]
pub struct Inspector {
    kind: FileKind,
    sample: Vec<u8>,
    bytes: u64,
    rows: Option<RowCounter>,
}

impl Inspector {
    /// For a file of this kind.
    #[must_use]
    pub fn new(kind: FileKind) -> Self {
        let counted = kind.compression == Compression::None;
        Self {
            kind,
            sample: Vec::new(),
            bytes: 0,
            rows: RowCounter::of(kind.format).filter(|_| counted),
        }
    }

    /// The next piece.
    ///
    /// # Errors
    /// As soon as it is certain that the file is not what it claims to be.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), NotThat> {
        let room = match self.kind.format {
            FileFormat::Parquet => PARQUET_MAGIC.len(),
            _ => SAMPLE,
        };
        let wanted = room.saturating_sub(self.sample.len()).min(piece.len());
        self.sample.extend_from_slice(&piece[..wanted]);
        self.bytes += piece.len() as u64;
        if let Some(rows) = &mut self.rows {
            rows.feed(piece);
        }
        let parquet = self.kind.format == FileFormat::Parquet;
        if parquet && self.sample.len() == PARQUET_MAGIC.len() && self.sample != PARQUET_MAGIC {
            return Err(NotThat("it is no Parquet file: it does not begin with PAR1".to_owned()));
        }
        Ok(())
    }

    /// What a text is, when all of it has passed by; nothing of a Parquet file, whose [`Footer`] tells.
    ///
    /// # Errors
    /// When it is not what it claims to be.
    pub fn finish(self) -> Result<Option<Inspection>, NotThat> {
        if self.bytes == 0 {
            return Err(NotThat("it is empty".to_owned()));
        }
        if self.kind.format == FileFormat::Parquet {
            return if self.bytes < 12 {
                Err(NotThat("it is no Parquet file: it is too short".to_owned()))
            } else {
                Ok(None)
            };
        }
        let whole = self.bytes == self.sample.len() as u64;
        let schema = sample::columns(self.kind, self.sample, whole)?;
        Ok(Some(Inspection {
            fields: fields(&schema),
            rows: self.rows.map(RowCounter::finish),
        }))
    }
}

fn fields(schema: &Schema) -> Vec<Field> {
    let fields = schema.fields().iter().map(|field| Field {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
        nullable: field.is_nullable(),
    });
    fields.collect()
}

/// The columns of several files together: those of the first, then what others have besides. Of two types of a column the one is
/// taken that holds both.
///
/// # Errors
/// When nothing but text would hold both, and one of them is no text.
pub fn merge(before: &[Field], after: &[Field]) -> Result<Vec<Field>, NotThat> {
    let mut merged = before.to_vec();
    for field in after {
        match merged.iter_mut().find(|known| known.name == field.name) {
            Some(known) => {
                known.nullable |= field.nullable;
                known.data_type = wider(&known.data_type, &field.data_type).ok_or_else(|| {
                    NotThat(format!(
                        "its column {:?} is {}, and {} in the files that are there",
                        field.name, field.data_type, known.data_type
                    ))
                })?;
            }
            None => merged.push(Field {
                nullable: true,
                ..field.clone()
            }),
        }
    }
    for known in &mut merged {
        known.nullable |= !after.iter().any(|field| field.name == known.name);
    }
    Ok(merged)
}

/// The type that holds both.
fn wider(one: &str, other: &str) -> Option<String> {
    let (int, float, null) = (
        DataType::Int64.to_string(),
        DataType::Float64.to_string(),
        DataType::Null.to_string(),
    );
    let texts = [
        DataType::Utf8.to_string(),
        DataType::LargeUtf8.to_string(),
        DataType::Utf8View.to_string(),
    ];
    match (one, other) {
        _ if one == other => Some(one.to_owned()),
        _ if one == null => Some(other.to_owned()),
        _ if other == null => Some(one.to_owned()),
        _ if [one, other].iter().all(|of| **of == *int || **of == *float) => Some(float),
        _ => [one, other]
            .into_iter()
            .find(|of| texts.iter().any(|text| text == of))
            .map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect(path: &str, content: &[u8]) -> Result<Option<Inspection>, NotThat> {
        let mut inspector = Inspector::new(FileKind::of_path(path).expect("a known extension"));
        for piece in content.chunks(7) {
            inspector.feed(piece)?;
        }
        inspector.finish()
    }

    fn told(path: &str, content: &[u8]) -> (Vec<String>, Option<u64>) {
        let found = inspect(path, content).unwrap().expect("a text");
        let fields = found
            .fields
            .into_iter()
            .map(|field| format!("{}:{}", field.name, field.data_type));
        (fields.collect(), found.rows)
    }

    #[test]
    fn columns_and_rows_of_texts_are_told() {
        let columns = |text: &[&str]| text.iter().map(|&column| column.to_owned()).collect::<Vec<_>>();
        let csv = b"id,name,price\r\n1,\"a\nb\",1.5\r\n2,\"say \"\"hi\"\"\",2\r\n\r\n3,,\n";
        assert_eq!(
            told("x.csv", csv),
            (columns(&["id:Int64", "name:Utf8", "price:Float64"]), Some(3))
        );
        assert_eq!(told("x.csv", b"a,b"), (columns(&["a:Null", "b:Null"]), Some(0)));
        assert_eq!(told("x.tsv", b"a\tb\n1\tx\n2\ty"), (columns(&["a:Int64", "b:Utf8"]), Some(2)));
        let (mut found, rows) = told("x.jsonl", b"{\"a\":1}\n\n{\"b\":[true]}\n{\"a\":2.5}");
        found.sort();
        assert_eq!((found[0].as_str(), found.len(), rows), ("a:Float64", 2, Some(3)));
    }

    #[test]
    fn compressed_texts_are_opened_and_their_rows_not_counted() {
        use std::io::Write;
        let text = "a,b\n1,2\n".repeat(300_000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
        for (path, packed) in [("x.csv.gz", gzip), ("x.csv.zst", zstd)] {
            let (columns, rows) = told(path, &packed);
            assert_eq!((columns.len(), rows), (2, None), "{path}");
            assert!(inspect(path, b"a,b\n1,2\n").is_err(), "{path} holds plain text");
        }
    }

    #[test]
    fn a_long_text_is_judged_by_its_beginning_and_counted_to_its_end() {
        let line = "7,some text\n";
        let text = format!("n,t\n{}", line.repeat(200_000));
        assert_eq!(told("x.csv", text.as_bytes()).1, Some(200_000));
    }

    #[test]
    fn what_is_something_else_is_refused() {
        for (path, content, said) in [
            ("x.csv", &b""[..], "empty"),
            ("x.csv", b"a,b\n1,2,3\n", "line 2"),
            ("x.csv", b"a,b\n\xff\xfe,2\n", "UTF-8"),
            ("x.csv", b"a,a\n1,2\n", "twice"),
            ("x.csv", ",".repeat(16_384).as_bytes(), "16384 can be queried"),
            ("x.ndjson", b"{\"a\":1}\nnot json\n", "JSON"),
            ("x.ndjson", b"[1,2]\n", "object"),
            ("x.parquet", b"a,b\n1,2\n1,2\n", "PAR1"),
            ("x.parquet", b"PAR1", "short"),
            ("x.csv.gz", b"plain", "gzip"),
            ("x.csv.zst", b"plain", "zstd"),
        ] {
            let refused = inspect(path, content).expect_err(path);
            assert!(refused.0.contains(said), "{path}: {refused}");
        }
    }

    #[test]
    fn columns_of_several_files_become_one_list() {
        let field = |name: &str, data_type: &str| Field {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            nullable: false,
        };
        let merged = merge(
            &[field("a", "Int64"), field("b", "Utf8")],
            &[field("a", "Float64"), field("c", "Date32")],
        )
        .unwrap();
        let shown: Vec<_> = merged
            .iter()
            .map(|field| (field.name.as_str(), field.data_type.as_str(), field.nullable))
            .collect();
        assert_eq!(shown, [("a", "Float64", false), ("b", "Utf8", true), ("c", "Date32", true)]);
        assert_eq!(
            merge(&[field("a", "Int64")], &[field("a", "Utf8")]).unwrap()[0].data_type,
            "Utf8"
        );
        assert!(merge(&[field("a", "Int64")], &[field("a", "Date32")]).is_err());
    }
}
