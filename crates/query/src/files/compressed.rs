//! How a scan's compression travels with its plan.
//!
//! The engine's encoding of plans has no place for it: a decoded scan reads compressed bytes as if they were text. So it is said
//! in the URL of the store (`gzip+file:///`), which no store answers to; what prepares a plan for running puts it back where the
//! engine looks for it.

use std::sync::Arc;

use api::job::Compression;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::ExecutionPlan;

const NAMES: [(&str, FileCompressionType); 4] = [
    ("gzip+", FileCompressionType::GZIP),
    ("zstd+", FileCompressionType::ZSTD),
    ("bzip2+", FileCompressionType::BZIP2),
    ("xz+", FileCompressionType::XZ),
];

/// The engine's name of a compression.
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
    let prefix = match compression {
        Compression::None => return Ok(url.clone()),
        Compression::Gzip => "gzip+",
        Compression::Zstd => "zstd+",
        Compression::Bzip2 => "bzip2+",
        Compression::Xz => "xz+",
    };
    ObjectStoreUrl::parse(format!("{prefix}{}", url.as_str()))
}

/// The scan with its compression where the engine looks for it; none when this is no scan, or needs nothing.
pub(crate) fn decompressing(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let scan = node.downcast_ref::<DataSourceExec>();
    let Some(config) = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>()) else {
        return Ok(None);
    };
    let url = config.object_store_url.as_str();
    let carried = NAMES
        .into_iter()
        .find_map(|(name, compression)| Some((url.strip_prefix(name)?, compression)));
    let Some((plain, compression)) = carried else {
        return Ok(None);
    };
    let mut config = config.clone();
    config.object_store_url = ObjectStoreUrl::parse(plain)?;
    config.file_compression_type = compression;
    Ok(Some(DataSourceExec::from_data_source(config)))
}
