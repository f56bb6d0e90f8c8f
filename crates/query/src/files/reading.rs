//! How the text of a scan is read, and how that travels.
//!
//! The engine's encoding of plans has no place for a compression: a decoded scan reads compressed bytes as if they were text. So it
//! is said in the URL of the store (`gzip+file:///`), which no store answers to. What prepares a plan for running puts all that
//! is to know of the text there (`csv-2c-gzip-8192+file:///`), and the stores of a task answer to that: see [`super::stores`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use api::job::Compression;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::physical_plan::parquet::DefaultParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{CsvSource, FileScanConfig, JsonSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::ExecutionPlan;
use url::Url;

use super::records::Framing;
use super::unpacking::Unpacking;
use crate::session::BATCH_ROWS;

const NAMES: [(&str, Compression); 4] = [
    ("gzip", Compression::Gzip),
    ("zstd", Compression::Zstd),
    ("bzip2", Compression::Bzip2),
    ("xz", Compression::Xz),
];

/// How a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) framing: Framing,
    pub(super) compression: Compression,
    /// Rows that its decoder holds at a time.
    pub(super) batch_rows: usize,
}

impl Reading {
    /// What a URL says of the texts of its store, and the URL of the store itself.
    pub(super) fn of(url: &Url) -> Option<(Self, Url)> {
        let (said, plain) = url.as_str().split_once('+')?;
        Some((said.parse().ok()?, Url::parse(plain).ok()?))
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compression = name(self.compression).unwrap_or("none");
        let (kind, delimiter) = match self.framing {
            Framing::Csv(delimiter) => ("csv", delimiter),
            Framing::Json => ("json", b'\n'),
        };
        write!(f, "{kind}-{delimiter:02x}-{compression}-{}", self.batch_rows)
    }
}

impl FromStr for Reading {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(());
        let (kind, delimiter, compression, rows) = (next()?, next()?, next()?, next()?);
        Ok(Self {
            framing: match kind {
                "csv" => Framing::Csv(u8::from_str_radix(delimiter, 16).map_err(drop)?),
                "json" => Framing::Json,
                _ => return Err(()),
            },
            compression: named(compression).unwrap_or(Compression::None),
            batch_rows: rows.parse().map_err(drop)?,
        })
    }
}

fn name(compression: Compression) -> Option<&'static str> {
    NAMES.iter().find(|(_, of)| *of == compression).map(|(name, _)| *name)
}

fn named(name: &str) -> Option<Compression> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, of)| *of)
}

/// The engine's name of a compression, while it plans.
pub(super) const fn engine_type(compression: Compression) -> FileCompressionType {
    match compression {
        Compression::None => FileCompressionType::UNCOMPRESSED,
        Compression::Gzip => FileCompressionType::GZIP,
        Compression::Zstd => FileCompressionType::ZSTD,
        Compression::Bzip2 => FileCompressionType::BZIP2,
        Compression::Xz => FileCompressionType::XZ,
    }
}

/// The URL of a store that says how its files are compressed.
pub(super) fn carrying(url: &ObjectStoreUrl, compression: Compression) -> Result<ObjectStoreUrl> {
    match name(compression) {
        Some(name) => ObjectStoreUrl::parse(format!("{name}+{}", url.as_str())),
        None => Ok(url.clone()),
    }
}

/// The URL of the store without what is said of its files.
pub(crate) fn plain(url: &ObjectStoreUrl) -> &str {
    let url = url.as_str();
    url.split_once('+').map_or(url, |(_, plain)| plain)
}

/// The scan with its texts read through a guard, and unpacked, or its Parquet pages looked at first; none when this is no scan of either.
pub(crate) fn guarded(node: &Arc<dyn ExecutionPlan>, ctx: &TaskContext) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let scan = node.downcast_ref::<DataSourceExec>();
    let Some(config) = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>()) else {
        return Ok(None);
    };
    let source = config.file_source.as_ref();
    let framing = match source.downcast_ref::<CsvSource>() {
        Some(csv) => Framing::Csv(csv.delimiter()),
        None if source.is::<JsonSource>() => Framing::Json,
        None => return bounded(config, ctx),
    };
    let carried = config.object_store_url.as_str().split_once('+');
    let reading = Reading {
        framing,
        compression: carried.and_then(|(said, _)| named(said)).unwrap_or(Compression::None),
        batch_rows: config.batch_size.unwrap_or(BATCH_ROWS),
    };
    let mut config = config.clone();
    config.object_store_url = ObjectStoreUrl::parse(format!("{reading}+{}", plain(&config.object_store_url)))?;
    config.file_compression_type = FileCompressionType::UNCOMPRESSED;
    Ok(Some(DataSourceExec::from_data_source(config)))
}

/// A scan of Parquet files whose pages are looked at before they are unpacked. They are looked at one behind the other: an index of pages,
/// which is the file's word, would lead the reader to others.
fn bounded(config: &FileScanConfig, ctx: &TaskContext) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(source) = config.file_source.as_ref().downcast_ref::<ParquetSource>() else {
        return Ok(None);
    };
    let runtime = ctx.runtime_env();
    let readers = match source.parquet_file_reader_factory() {
        Some(readers) => Arc::clone(readers),
        None => Arc::new(DefaultParquetFileReaderFactory::new(
            runtime.object_store(&config.object_store_url)?,
        )),
    };
    let readers = Unpacking::new(readers, Arc::clone(&runtime.memory_pool));
    let mut config = config.clone();
    let source = source.clone().with_enable_page_index(false);
    config.file_source = Arc::new(source.with_parquet_file_reader_factory(Arc::new(readers)));
    Ok(Some(DataSourceExec::from_data_source(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_text_is_understood() {
        for framing in [Framing::Csv(b'\t'), Framing::Csv(b'|'), Framing::Json] {
            for compression in [Compression::None, Compression::Gzip, Compression::Xz] {
                let reading = Reading {
                    framing,
                    compression,
                    batch_rows: 17,
                };
                for store in ["file:///", "blob:///", "https://example.com:8443/", "s3://lake/"] {
                    let url = ObjectStoreUrl::parse(format!("{reading}+{store}")).unwrap();
                    let (said, plain_url) = Reading::of(url.as_ref()).unwrap();
                    assert_eq!((said, plain_url.as_str(), plain(&url)), (reading, store, store));
                }
            }
        }
        for other in ["file:///", "gzip+file:///", "csv-2c+file:///", "s3://a+b/"] {
            assert_eq!(Reading::of(&Url::parse(other).unwrap()), None, "{other}");
        }
    }
}
