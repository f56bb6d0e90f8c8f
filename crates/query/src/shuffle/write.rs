//! Writes the output of one task: one Arrow IPC stream per output partition, published all at once.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::BatchCoalescer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::error::Result;

use super::dir::file_in;

/// Rows of a batch in a file. Hashing splits batches into slivers, which are put together again up to this size.
const BATCH_ROWS: usize = 8192;
/// Rows held back over all outputs of a task.
const BUFFERED_ROWS: usize = 16 * BATCH_ROWS;

/// Writer of one attempt. Dropped without [`Self::publish`], it leaves nothing.
pub(crate) struct ShuffleWriter {
    outputs: Vec<Output>,
    attempt: PathBuf,
    temporary: Temporary,
}

struct Output {
    coalescer: BatchCoalescer,
    stream: StreamWriter<BufWriter<File>>,
}

/// A directory that goes when this does.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Published, it has another name by now; and what cannot be removed goes when the worker starts again.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl ShuffleWriter {
    /// Opens the files of an attempt, whose directory appears when they are published.
    pub(crate) fn create(attempt: &Path, outputs: usize, schema: &SchemaRef) -> Result<Self> {
        let temporary = Temporary(attempt.with_extension("tmp"));
        remove(&temporary.0)?;
        fs::create_dir_all(&temporary.0)?;
        let rows = (BUFFERED_ROWS / outputs.max(1)).clamp(512, BATCH_ROWS);
        let open = |output: usize| -> Result<Output> {
            let output = u32::try_from(output).map_err(io::Error::other)?;
            let file = BufWriter::new(File::create(file_in(&temporary.0, output))?);
            Ok(Output {
                coalescer: BatchCoalescer::new(schema.clone(), rows),
                stream: StreamWriter::try_new(file, schema)?,
            })
        };
        let outputs = (0..outputs).map(open).collect::<Result<_>>()?;
        Ok(Self {
            outputs,
            attempt: attempt.to_owned(),
            temporary,
        })
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
            output.stream.finish()?;
            let mut file = output.stream.into_inner()?;
            file.flush()?;
            bytes += file.get_ref().metadata()?.len();
        }
        remove(&self.attempt)?;
        fs::rename(&self.temporary.0, &self.attempt)?;
        Ok(bytes)
    }
}

impl Output {
    fn drain(&mut self) -> Result<()> {
        while let Some(batch) = self.coalescer.next_completed_batch() {
            self.stream.write(&batch)?;
        }
        Ok(())
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
