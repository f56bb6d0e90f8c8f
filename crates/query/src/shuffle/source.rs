//! Where shuffle files come from. This crate knows which file it wants; whoever runs it knows how to get at it.

use std::io;
use std::pin::Pin;

use api::JobId;
use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;

/// Bytes of one file, in pieces of any size.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// One file of a shuffle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShufflePart {
    /// The job.
    pub job: JobId,
    /// The stage that wrote it.
    pub stage: u32,
    /// The partition of that stage.
    pub partition: u32,
    /// The attempt that won.
    pub attempt: u32,
    /// Which of the task's outputs.
    pub output: u32,
    /// `host:port` of the worker that has it.
    pub address: String,
}

/// Gets at shuffle files.
#[async_trait]
pub trait ShuffleSource: Send + Sync + std::fmt::Debug {
    /// Opens a file for reading, with the source's own retries and deadlines; an error is final.
    async fn open(&self, part: &ShufflePart) -> io::Result<ByteStream>;
}

/// A shuffle file that could not be read to its end: its producer must run again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("output {output} of stage {stage}, partition {partition}, attempt {attempt} could not be read from {address}: {detail}")]
pub struct FetchFailed {
    /// The stage that wrote it.
    pub stage: u32,
    /// The partition of that stage.
    pub partition: u32,
    /// The attempt that was asked for.
    pub attempt: u32,
    /// Which of the task's outputs.
    pub output: u32,
    /// Who was asked.
    pub address: String,
    /// What went wrong.
    pub detail: String,
}

impl FetchFailed {
    pub(crate) fn new(part: &ShufflePart, detail: impl std::fmt::Display) -> Self {
        Self {
            stage: part.stage,
            partition: part.partition,
            attempt: part.attempt,
            output: part.output,
            address: part.address.clone(),
            detail: detail.to_string(),
        }
    }
}
