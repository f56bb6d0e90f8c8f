//! Giving out results, of any size, in any format.

use api::job::JobState;
use bytes::Bytes;
use control::Consistency;
use formats::{Converter, Format};
use futures::StreamExt;
use jobs::{JobRecord, PartLocation};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::{Error, Jobs, blobs, keys};

/// Largest result whose rows are put into the answer of a submission that waits, bytes as stored.
pub const MAX_ROWS_BYTES: u64 = 64 * 1024;
/// Chunks converted ahead of a slow reader.
const CHUNKS_AHEAD: usize = 4;

/// A result on its way. The first chunk is there when this is, so most failures come before it.
#[derive(Debug)]
pub struct ResultStream {
    first: Option<Bytes>,
    rest: mpsc::Receiver<Result<Bytes, Error>>,
}

impl ResultStream {
    /// The next chunk.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => self.rest.recv().await,
        }
    }
}

impl Jobs {
    /// The result of a job that succeeded.
    ///
    /// # Errors
    /// [`Error::Conflict`] when there is none, [`Error::Format`] when the format cannot hold it, or when it cannot be read.
    pub async fn result(&self, record: JobRecord, format: Format) -> Result<ResultStream, Error> {
        has_result(&record)?;
        let (send, mut rest) = mpsc::channel(CHUNKS_AHEAD);
        let jobs = self.clone();
        tokio::spawn(async move {
            if let Err(error) = jobs.convert(&record, format, &send).await {
                // A reader that has left does not want to know.
                send.send(Err(error)).await.ok();
            }
        });
        let first = rest.recv().await.transpose()?;
        Ok(ResultStream { first, rest })
    }

    /// The rows of a job that succeeded, when they are few.
    ///
    /// # Errors
    /// When the result cannot be read.
    pub async fn few_rows(&self, record: &JobRecord) -> Result<Option<Vec<Map<String, Value>>>, Error> {
        let few = record.result.as_ref().is_some_and(|result| result.bytes <= MAX_ROWS_BYTES);
        if record.state != JobState::Succeeded || !few || record.output.is_some() {
            return Ok(None);
        }
        let mut stream = self.result(record.clone(), Format::Ndjson).await?;
        let mut text = Vec::new();
        while let Some(chunk) = stream.next().await {
            text.extend_from_slice(&chunk?);
        }
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let rows: Result<_, _> = lines.map(serde_json::from_slice).collect();
        rows.map(Some).map_err(|source| Error::Record {
            key: keys::results(record.id),
            source,
        })
    }

    async fn convert(&self, record: &JobRecord, format: Format, send: &mpsc::Sender<Result<Bytes, Error>>) -> Result<(), Error> {
        let mut converter = Converter::new(format);
        for (part, location) in record.parts.iter().enumerate() {
            match location {
                PartLocation::Inline { .. } => {
                    let key = keys::part(record.id, part);
                    let entry = self.inner.store.get(&key, Consistency::Linearizable).await?;
                    let lost = || Error::ResultLost {
                        job: record.id,
                        part,
                        detail: format!("{key} is not in the control store"),
                    };
                    if !give(send, converter.feed(entry.ok_or_else(lost)?.value)?).await {
                        return Ok(());
                    }
                }
                PartLocation::Blob { name, .. } => {
                    let mut chunks = std::pin::pin!(self.open_blob(record.id, part, name).await?);
                    while let Some(chunk) = chunks.next().await {
                        if !give(
                            send,
                            converter.feed(chunk.map_err(|error| blobs::lost(record.id, part, error))?)?,
                        )
                        .await
                        {
                            return Ok(());
                        }
                    }
                }
            }
            converter.end_part()?;
        }
        give(send, converter.finish()?).await;
        Ok(())
    }
}

/// Sends a chunk, if there is anything in it; false when nobody reads any more.
async fn give(send: &mpsc::Sender<Result<Bytes, Error>>, chunk: Bytes) -> bool {
    chunk.is_empty() || send.send(Ok(chunk)).await.is_ok()
}

/// Whether there are rows to be given out.
///
/// # Errors
/// [`Error::Conflict`] when there are none, with why.
pub fn has_result(record: &JobRecord) -> Result<(), Error> {
    if let (JobState::Succeeded, Some(output)) = (record.state, &record.output) {
        let dataset = &output.dataset;
        return Err(Error::Conflict(format!(
            "the rows went into the dataset {dataset}; query that"
        )));
    }
    let why = record
        .error
        .as_ref()
        .map(|problem| format!(": {}", problem.detail))
        .unwrap_or_default();
    match record.state {
        JobState::Succeeded => Ok(()),
        JobState::Failed => Err(Error::Conflict(format!("the job failed and has no result{why}"))),
        JobState::Cancelled => Err(Error::Conflict("the job was cancelled and has no result".to_owned())),
        state => {
            let state = super::metrics::state_name(state);
            Err(Error::Conflict(format!(
                "the job is {state}; its result will be there when it has succeeded"
            )))
        }
    }
}
