//! Writes the output of one task: one file per output partition, published all at once.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::BatchCoalescer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::error::Result;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::attempt::AttemptDir;
use super::dir::{dataset_in, file_in};
use super::frame::Frames;

/// Rows of a batch in a file. Hashing splits batches into slivers, which are put together again up to this size.
const BATCH_ROWS: usize = 8192;
/// Rows held back over all outputs of a task.
const BUFFERED_ROWS: usize = 16 * BATCH_ROWS;
/// Rows of a batch in a file, however wide they are.
const LEAST_ROWS: usize = 64;
/// Bytes of a batch in a file, roughly: whoever merges many files holds a batch or two of each.
const BATCH_BYTES: usize = 1 << 20;
/// Encoded bytes at which a row group of a Parquet file is written.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// What the files of a task are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// The tasks of later stages: Arrow IPC streams in checksummed frames.
    Shuffle,
    /// The job's result: one Arrow IPC stream as it is.
    Result,
    /// A dataset: one Parquet file.
    Dataset,
}

/// Writer of one attempt. Dropped without [`Self::publish`], it leaves nothing.
pub(crate) struct Writer {
    outputs: Vec<Output>,
    dir: AttemptDir,
}

struct Output {
    coalescer: BatchCoalescer,
    file: Encoded,
}

enum Encoded {
    Framed(Box<StreamWriter<Frames<File>>>),
    Plain(Box<StreamWriter<BufWriter<File>>>),
    Parquet(Box<ArrowWriter<File>>),
}

impl Writer {
    /// Opens the files of an attempt, whose directory appears when they are published.
    pub(crate) fn create(attempt: &Path, sink: Sink, outputs: usize, schema: &SchemaRef) -> Result<Self> {
        let dir = AttemptDir::create(attempt)?;
        let rows = (BUFFERED_ROWS / outputs.max(1)).clamp(512, BATCH_ROWS);
        let open = |output: usize| -> Result<Output> {
            let output = u32::try_from(output).map_err(io::Error::other)?;
            Ok(Output {
                coalescer: BatchCoalescer::new(schema.clone(), rows),
                file: Encoded::create(dir.path(), sink, output, schema)?,
            })
        };
        let outputs = (0..outputs).map(open).collect::<Result<_>>()?;
        Ok(Self { outputs, dir })
    }

    /// Appends rows to an output.
    pub(crate) fn write(&mut self, output: usize, batch: RecordBatch) -> Result<()> {
        let count = self.outputs.len();
        let output = self.outputs.get_mut(output);
        let output = output.ok_or_else(|| io::Error::other(format!("there are only {count} outputs")))?;
        output.coalescer.push_batch(batch)?;
        output.drain()
    }

    /// Completes the files, makes them visible under the attempt's name, and returns how many bytes they have.
    pub(crate) fn publish(self) -> Result<u64> {
        let mut bytes = 0;
        for mut output in self.outputs {
            output.coalescer.finish_buffered_batch()?;
            output.drain()?;
            bytes += output.file.finish()?.metadata()?.len();
        }
        self.dir.publish()?;
        Ok(bytes)
    }
}

impl Output {
    fn drain(&mut self) -> Result<()> {
        while let Some(batch) = self.coalescer.next_completed_batch() {
            let (rows, bytes) = (batch.num_rows(), batch.get_array_memory_size());
            let step = (rows * BATCH_BYTES / bytes.max(1)).max(LEAST_ROWS);
            for first in (0..rows).step_by(step) {
                self.file.write(&batch.slice(first, step.min(rows - first)))?;
            }
        }
        Ok(())
    }
}

impl Encoded {
    fn create(dir: &Path, sink: Sink, output: u32, schema: &SchemaRef) -> Result<Self> {
        Ok(match sink {
            Sink::Shuffle => {
                let frames = Frames::new(File::create(file_in(dir, output))?);
                Self::Framed(Box::new(StreamWriter::try_new(frames, schema)?))
            }
            Sink::Result => {
                let file = BufWriter::new(File::create(file_in(dir, output))?);
                Self::Plain(Box::new(StreamWriter::try_new(file, schema)?))
            }
            Sink::Dataset => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .build();
                let file = File::create(dataset_in(dir))?;
                Self::Parquet(Box::new(ArrowWriter::try_new(file, schema.clone(), Some(properties))?))
            }
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Framed(stream) => {
                stream.write(batch)?;
                stream.get_mut().end_message()?;
            }
            Self::Plain(stream) => stream.write(batch)?,
            Self::Parquet(writer) => {
                writer.write(batch)?;
                if writer.in_progress_size() >= ROW_GROUP_BYTES {
                    writer.flush()?;
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<File> {
        Ok(match self {
            Self::Framed(mut stream) => {
                stream.finish()?;
                stream.into_inner()?.finish()?
            }
            Self::Plain(mut stream) => {
                stream.finish()?;
                let mut file = stream.into_inner()?;
                file.flush()?;
                file.into_inner().map_err(io::IntoInnerError::into_error)?
            }
            Self::Parquet(writer) => writer.into_inner()?,
        })
    }
}
