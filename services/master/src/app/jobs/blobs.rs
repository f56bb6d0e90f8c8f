//! Large parts of results: blobs.

use ::blobs::ByteStream;
use api::JobId;

use super::{Error, Jobs};

impl Jobs {
    /// Opens a part of a result, wherever it can be read.
    pub(super) async fn open_blob(&self, job: JobId, part: usize, name: &str) -> Result<ByteStream, Error> {
        let opened = self.inner.blobs.get(name, None).await;
        opened.map(|(_, content)| content).map_err(|error| lost(job, part, error))
    }

    /// Removes a blob from whoever may hold it. What cannot be reached keeps it until it is collected.
    pub(super) async fn remove_blob(&self, name: &str) {
        if let Err(error) = self.inner.blobs.delete(name).await {
            tracing::debug!(%name, %error, "a blob was not removed");
        }
    }

    /// Hosts near a blob.
    pub(super) fn hosts_of(&self, name: &str) -> Vec<String> {
        self.inner.blobs.hosts(name)
    }
}

/// What a part of a result that cannot be read means.
pub(super) fn lost(job: JobId, part: usize, error: ::blobs::Error) -> Error {
    match error {
        ::blobs::Error::Unavailable(detail) => {
            Error::Unavailable(format!("part {part} of the result of job {job} cannot be read now: {detail}"))
        }
        error => Error::ResultLost {
            job,
            part,
            detail: error.to_string(),
        },
    }
}
