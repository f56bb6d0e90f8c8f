//! The end of a Parquet file: its columns and how many rows it has.

use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::{FooterTail, ParquetMetaDataReader};

use super::{Inspection, NotThat, fields};

/// Bytes at the end of a file that say how long its metadata is.
pub const FOOTER_BYTES: u64 = 8;
/// Longest metadata that is read.
const MAX_METADATA: usize = 64 << 20;

/// The last bytes of a Parquet file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer {
    metadata: u64,
}

impl Footer {
    /// Reads the last [`FOOTER_BYTES`] of a file of `bytes`.
    ///
    /// # Errors
    /// When they are something else.
    pub fn parse(last: &[u8], bytes: u64) -> Result<Self, NotThat> {
        let refused = || NotThat("it is no whole Parquet file: it does not end with PAR1".to_owned());
        let last = last.try_into().map_err(|_| refused())?;
        let tail = FooterTail::try_new(last).map_err(|_| refused())?;
        if tail.is_encrypted_footer() {
            return Err(NotThat("it is encrypted, which is not supported".to_owned()));
        }
        let metadata = tail.metadata_length();
        if metadata > MAX_METADATA || metadata as u64 + FOOTER_BYTES > bytes {
            return Err(NotThat(format!("its metadata cannot have {metadata} bytes")));
        }
        Ok(Self {
            metadata: metadata as u64,
        })
    }

    /// Where the metadata is, counted from the end of the file: so many bytes before the footer.
    #[must_use]
    pub const fn metadata_bytes(self) -> u64 {
        self.metadata
    }

    /// Reads the metadata.
    ///
    /// # Errors
    /// When it is damaged, or says what Arrow does not know.
    pub fn inspect(self, metadata: &[u8]) -> Result<Inspection, NotThat> {
        let refused = |error: parquet::errors::ParquetError| NotThat(format!("its metadata cannot be read: {error}"));
        let metadata = ParquetMetaDataReader::decode_metadata(metadata).map_err(refused)?;
        let file = metadata.file_metadata();
        let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()).map_err(refused)?;
        Ok(Inspection {
            fields: fields(&schema),
            rows: u64::try_from(file.num_rows()).ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;

    use super::*;

    #[test]
    fn a_footer_tells_columns_and_rows() {
        let columns: [(_, arrow::array::ArrayRef); 2] = [
            ("n", Arc::new(Int64Array::from(vec![1, 2, 3]))),
            ("t", Arc::new(StringArray::from(vec![Some("a"), None, Some("c")]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();

        let read = |file: &[u8]| {
            let bytes = file.len() as u64;
            let footer = Footer::parse(&file[file.len() - FOOTER_BYTES as usize..], bytes)?;
            let end = (bytes - FOOTER_BYTES) as usize;
            footer.inspect(&file[end - footer.metadata_bytes() as usize..end])
        };
        let found = read(&file).unwrap();
        assert_eq!(found.rows, Some(3));
        assert_eq!(found.fields[0].name, "n");
        assert_eq!(found.fields[1].data_type, "Utf8");
        assert!(read(&file[..file.len() - 1]).is_err(), "cut short");
        assert!(read(b"PAR1\xff\xff\xff\x00PAR1").is_err());
    }
}
