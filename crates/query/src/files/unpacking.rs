//! What stands between a Parquet file and the reader that unpacks it: no page may unpack to more than a limit, and large ones are taken from
//! the memory pool.
//!
//! The reader makes room for what the head of a page says before it has unpacked anything, and asks nobody: 100 KB may say, and be, 2 GiB, in
//! each column. What the footer says of sizes need not be so; the heads are what counts.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::pages::{Damaged, Pages};
use crate::Error;

/// Largest page: writers make them of 1 MiB, or of some tens where values are long.
const MAX_PAGE_BYTES: usize = 256 << 20;
/// What a page may have before it is counted: as other buffers of the engine, it is not worth it.
const FREE_BYTES: usize = 8 << 20;

/// Makes readers that look at pages before they are unpacked.
pub(super) struct Unpacking {
    readers: Arc<dyn ParquetFileReaderFactory>,
    pool: Arc<dyn MemoryPool>,
}

impl Unpacking {
    /// Of what these read.
    pub(super) fn new(readers: Arc<dyn ParquetFileReaderFactory>, pool: Arc<dyn MemoryPool>) -> Self {
        Self { readers, pool }
    }
}

impl fmt::Debug for Unpacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacking").finish_non_exhaustive()
    }
}

impl ParquetFileReaderFactory for Unpacking {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let reader = self.readers.create_reader(partition, file, metadata_size_hint, metrics)?;
        Ok(Box::new(Reader {
            reader,
            reserved: MemoryConsumer::new("pages of a Parquet file").register(&self.pool),
        }))
    }
}

/// A reader of one file.
struct Reader {
    reader: Box<dyn AsyncFileReader + Send>,
    /// For the pages that were read last: of each column one is unpacked at a time, beside its dictionary.
    reserved: MemoryReservation,
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.reader.get_bytes(range)
    }

    /// Of several parts at once, which are always of columns, each from the beginning of a page.
    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move {
            let parts = self.reader.get_byte_ranges(ranges).await?;
            let wanted = parts.iter().try_fold(0, |sum, part| Ok::<_, Error>(sum + counted(part)?));
            let wanted = wanted.map_err(|refused| DataFusionError::External(Box::new(refused)));
            // As errors of the engine, which finds them again beneath those of the library.
            let taken = wanted.and_then(|wanted| self.reserved.try_resize(wanted));
            taken.map_err(|error| ParquetError::External(Box::new(error)))?;
            Ok(parts)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        self.reader.get_metadata(options)
    }
}

/// What is to be counted of the pages of one part of a column.
fn counted(part: &[u8]) -> std::result::Result<usize, Error> {
    let (mut dictionary, mut data) = (0, 0);
    for page in Pages::of(part) {
        let page = page.map_err(|Damaged| Error::Invalid("the file is damaged: one of its pages has no head".to_owned()))?;
        if page.unpacked > MAX_PAGE_BYTES {
            return Err(Error::TooLarge(format!(
                "one of its pages unpacks to {} MiB; at most {} MiB are read: write it with smaller pages, or row groups",
                page.unpacked >> 20,
                MAX_PAGE_BYTES >> 20
            )));
        }
        let largest = if page.is_dictionary { &mut dictionary } else { &mut data };
        *largest = page.unpacked.max(*largest);
    }
    Ok([dictionary, data]
        .map(|bytes: usize| bytes.saturating_sub(FREE_BYTES))
        .iter()
        .sum())
}
