//! Reading everything once in a while: disks forget.

use store::blob::Error;

use super::Blobs;
use super::repair::throttle;

/// Blobs listed at once.
const BATCH: usize = 500;

impl Blobs {
    /// Reads all blobs here, slowly; those that are damaged are healed. How many there were of each.
    pub(crate) async fn scrub(&self) -> (u64, u64) {
        let (mut read, mut damaged) = (0, 0);
        let mut after: Option<String> = None;
        loop {
            let listed = self.store.list("", after.as_deref(), BATCH);
            let Some(last) = listed.last() else { return (read, damaged) };
            after = Some(last.name.to_string());
            for blob in listed {
                match self.store.verify(&blob.name).await {
                    Ok(info) => self.metrics.scrubbed_bytes.inc_by(info.bytes),
                    Err(Error::NotFound(_)) => continue,
                    Err(error) => {
                        damaged += 1;
                        self.noticed(&error);
                    }
                }
                read += 1;
                throttle(blob.bytes, self.policy.scrub_rate).await;
            }
        }
    }
}
